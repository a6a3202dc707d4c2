"""Writes CARD.md from the measured figures. What was not measured in this run is said to be not measured."""

from .calibrate import EXAM_FALSE_ALARM, FINGER_MISS, FINGERS, finger_false_alarm_budget
from .learn import ROUND

UNITS = (("frame", "one picture"), ("field", "mean over its frames"), ("finger", "by the thresholds, two fields to recur"))


def card(facts: dict) -> str:
    return "\n".join([_head(facts), _made(facts), _figures(facts), _calls(facts), _also(facts), _elsewhere(facts), _limits(facts)])


def _head(facts: dict) -> str:
    return f"""# {facts['name']} {facts['version']}

**Not validated on patients. Research use only. Not a diagnosis.** Trained, calibrated and tested on drawn nailfolds alone: no picture of
a person was used for any of the three. It exists so that everything around a model can be built, run and tested with one that does a
little; its figures below say how well it reads drawings, and nothing about people.

| | |
| --- | --- |
| task | one frame into Fast Track category 1 (non-scleroderma pattern; not the same as normal) or 2 (scleroderma pattern) |
| network | a fixed local-contrast layer (logarithm of each channel less its mean over about 0.2 mm), then DenseNet-121 (timm {facts['versions']['timm']}) from random weights, {facts['parameters'] / 1e6:.2f} million parameters, fp32; both in `model.onnx` |
| input | {facts['geometry']['um_per_px']} um per pixel, {facts['geometry']['tile']} px tiles, logits meaned over tiles; needs a scale; frames up to {facts['max_um_per_px']} um per pixel |
| cohort | {facts['cohort']} |
| licence | Apache-2.0 |
"""


def _made(facts: dict) -> str:
    rows = "\n".join(
        f"| {part} | {n['subjects']} | {n['fingers']} | {n['fields']} | {n['frames']} | {n['positive']} |" for part, n in facts["parts"].items()
    )
    last, plan = facts["history"][-1], facts["plan"]
    early = "" if last["round"] == plan["rounds"] else f" Ended early, after {last['round']} of them: **a first bundle, weakly trained.**"
    digests = "; ".join(f"{name} {digest[:16]}" for name, digest in facts["data_sha256"].items())
    return f"""## How it was made
Drawn by {facts['drawn_by']} (sha256 of the truth files: {digests}). The label is what the Fast Track rules give for the
drawing itself, so no reader's doubt is in it. Where less than half a millimetre of the row is in the picture the rules say nothing: {facts['undecided']['train']} such
training pictures taught that both categories are as likely, {facts['undecided']['held']} held-out frames were left out.

| part | subjects | fingers | fields | pictures | of these category 2 |
| --- | --- | --- | --- | --- | --- |
{rows}

Split by subject: no subject is in two parts. Training pictures are squares of one tile's extent, drawn coarsely, and whole frames of fields little
wider than a tile; calibration and test are whole frames of all widths. {plan['rounds']} rounds of {ROUND} examples, the first {plan['halved']} at half the scale, AdamW in bfloat16, seed {plan['seed']}, averaged weights.{early}
Extra heads that taught where loops and giants are and how wide were left behind at export. Of the examples at full scale half went the daemon's way, half were turned
by up to 12 degrees and scaled by up to 4 %; all were laid down in any of eight ways, recoloured (gain, gamma, cast, saturation down to grey), softened.
In its last round {100 * last['right']:.1f} % of the (altered) training pictures were right. Exported probabilities differ from PyTorch's by at most {facts['parity']:.1e}.
Made with torch {facts['versions']['torch']}, timm {facts['versions']['timm']}, onnx {facts['versions']['onnx']}, onnxruntime {facts['versions']['onnxruntime']}; see `models/training`.
"""


def _figures(facts: dict) -> str:
    lines = [
        "## Figures on drawn test subjects",
        "Value and 95 % interval (1000 resamples of subjects). Frame and field: at probability one half.",
        "Test frames were decoded from JPEG at full size and prepared as the daemon does it.",
        "",
        "| unit | n (category 2) | AUC | accuracy | sensitivity | specificity | calibration error |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for unit, how in UNITS[:2]:
        f = facts["test"][unit]
        lines.append(
            f"| {unit} ({how}) | {f['units']} ({f['positive']}) | {_f(f['auc'])} | {_f(f['accuracy'])} | {_f(f['sensitivity'])} | {_f(f['specificity'])} | {_f(f['ece'])} |"
        )
    lines += ["", "By simulated device (frames):", "", "| device | n (category 2) | AUC | accuracy |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {device} | {f['units']} ({f['positive']}) | {_f(f['auc'])} | {_f(f['accuracy'])} |" for device, f in facts["test"]["device"].items()
    ]
    lines += [
        "",
        "By what the drawing held (frames; share read right at one half):",
        "",
        "| drawing | n | right |",
        "| --- | --- | --- |",
        *[f"| {name} | {f['units']} | {_share(f['right'])} |" for name, f in facts["test"]["stratum"].items()],
        "",
        "The published figures of DenseNet-121 in the SCLEROCAP study are of patients and must not be set beside these.",
        "",
    ]
    return "\n".join(lines)


def _weakest(strata: dict[str, dict]) -> str:
    name, f = min(strata.items(), key=lambda entry: entry[1]["right"])
    return f"Weakest where the drawing holds: {name}. There it is right in {100 * f['right']:.0f} % of {f['units']} frames."


def _calls(facts: dict) -> str:
    t, f, c = facts["thresholds"], facts["test"]["finger"], facts["calibration"]
    held = c["false_alarm"]
    return f"""## Calibration and calls
Temperature {c['temperature']:.3f}, fitted on the {c['subjects']} calibration subjects: calibration error there {c['ece_before']:.3f} before, {c['ece_after']:.3f} after;
on the test subjects {facts['test']['ece_before']:.3f} before, {facts['test']['ece_after']:.3f} after (ten bins). The probability holds for the mix of
these drawings ({100 * c['prevalence']:.0f} % category 2), which is no clinic's mix.

Thresholds {t['lower']} and {t['upper']} on a field's probability. Budget: at most {100 * EXAM_FALSE_ALARM:.0f} % of healthy exams of {FINGERS} fingers may show any
false finger, so at most {100 * finger_false_alarm_budget():.2f} % of fingers, a finger being positive when two of its fields are above the upper threshold; and at most
{100 * FINGER_MISS:.0f} % of fingers with the pattern may be read as "no pattern seen". On the calibration subjects {held['events']} of {held['trials']} fingers without the pattern
were false alarms: the true rate may still be up to {100 * held['bound']:.1f} % (one-sided 95 %), so the budget is {'shown' if held['bound'] <= finger_false_alarm_budget() else 'aimed at, not shown'}. Drawn fingers are independent; a person's are not.

Fingers of the test subjects ({f['units']}, {f['positive']} with the pattern):

| figure | value (95 % interval) |
| --- | --- |
| called either way | {_f(f['called'])} |
| with the pattern, called positive | {_f(f['sensitivity'])} |
| with the pattern, read as no pattern | {_f(f['missed'])} |
| without it, read as no pattern | {_f(f['specificity'])} |
| without it, called positive | {_f(f['false_alarm'])} |
| AUC (second highest field) | {_f(f['auc'])} |

These use {facts['frames_a_field']} a field; the daemon's own minimum of frames and seconds, its gate and its trimming are not part of them.
Envelope (`input.seen`): {facts['outside_test']} of {facts['parts']['test']['frames']} test frames lie outside it.
"""


def _also(facts: dict) -> str:
    also = facts.get("also")
    if also is None:
        return ""
    frame, finger = also["frame"], also["finger"]
    return f"""## On a later state of the simulator
The simulator went on changing after the training pictures were drawn. On {frame['units']} frames of {also['subjects']} subjects drawn by its later state: AUC over frames
{_f(frame['auc'])}, sensitivity {_f(frame['sensitivity'])}, specificity {_f(frame['specificity'])}, calibration error {_f(frame['ece'])};
of {finger['units']} fingers called either way {_f(finger['called'])}, with the pattern and read as none {_f(finger['missed'])}, without it and called
positive {_f(finger['false_alarm'])}; {also['outside']} frames outside the envelope.
"""


def _elsewhere(facts: dict) -> str:
    real = facts.get("elsewhere")
    if real is None:
        return "## On real frames\nNot measured when this bundle was made.\n"
    lines = [
        "## On real frames",
        "For curiosity only: frames of a university course's public data set (petrick001/nailfold-capillary-deep-learning, commit 60cd7f56),",
        f"{real['um_per_px']} um per pixel, {real['tiles_a_frame']} tiles a frame, without the daemon's quality gate. One subject has a disease that the source does not name; exposure and colour",
        "differ from subject to subject, so these figures validate nothing. None of these frames was trained, calibrated or tested on; the simulator's",
        "colours and contrast, however, were set by people who had them in view.",
        "",
        "| subject | disease | frames | mean probability of category 2 (lowest to highest) | above upper | below lower | out of cohort |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, s in real["subjects"].items():
        lines.append(
            f"| {name} | {'yes' if s['disease'] else 'no'} | {s['frames']} | {s['mean_probability']} ({s['lowest']} to {s['highest']}) | {s['above_upper']} | {s['below_lower']} | {s['out_of_cohort']} |"
        )
    total = real["with_disease"]["frames"] + real["without_disease"]["frames"]
    outside = real["with_disease"]["out_of_cohort"] + real["without_disease"]["out_of_cohort"]
    healthy, ill = real["without_disease"], real["with_disease"]
    lines += [
        "",
        f"In words: of {healthy['frames']} frames of subjects without disease it puts {healthy['above_upper']} above the upper threshold and {healthy['below_lower']} below the lower;",
        f"of {ill['frames']} frames of the one with disease {ill['above_upper']} above and {ill['below_lower']} below. AUC over frames {real['auc_frames']}, of which only one subject is on one side.",
        f"{outside} of {total} frames are marked out of cohort. That so few are is a weakness of the envelope, which sees a picture's mean light and",
        "contrast and nothing else, not a sign that the model knows such pictures. A call on a subject without disease is an error all the same; that",
        "the one subject with disease stands apart may come from its blur, its light or its microscope as well as from its loops.",
        "",
    ]
    return "\n".join(lines)


def _limits(facts: dict) -> str:
    return """## Must not be used
- to decide anything about a person, to screen, to reassure, or to choose who is examined further;
- for early, active or late patterns: it knows two categories;
- without a measured scale, or on frames coarser than the manifest allows;
- on children, other microscopes or dermatoscopes, or anything else that the simulator does not draw: nobody knows what it does there.

A field wider than a tile is read by the mean over its tiles, so one giant among six tiles can be outvoted: see the widest devices above.
Known to be missing: second readings (the drawing is always sure), diseases other than the two categories, dark skin beyond the simulator's
range, real optics' faults. A disagreement with the measured loops should be believed against this model, not for it.
"""


def _f(figure: dict) -> str:
    if figure["value"] is None:
        return "not defined"
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def _share(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"
