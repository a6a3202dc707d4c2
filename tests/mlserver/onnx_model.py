"""An ONNX file in MLServer: what it has no runtime of its own for. Put on PYTHONPATH, and named by a model's settings."""

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


class OnnxModel(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(await get_model_uri(self.settings), options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        inputs = {tensor.name: self.decode(tensor, default_codec=NumpyCodec).astype(np.float32) for tensor in payload.inputs}
        wanted = [output.name for output in payload.outputs or []] or [output.name for output in self.session.get_outputs()]
        try:
            answers = self.session.run(wanted, inputs)
        except Exception as error:  # whatever ONNX Runtime raises is the request's fault here
            raise InferenceError(str(error)) from error
        outputs = [NumpyCodec.encode_output(name, answer) for name, answer in zip(wanted, answers)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
