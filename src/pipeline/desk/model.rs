//! Another deciding model at the desk: asked for, and taken where no field and no finger would be read by two.

use crate::command::Command;
use crate::emit::control::{Answer, Request};
use crate::pipeline::swap::{Incoming, Load, Loaded, Order};
use crate::report::{Event, ModelChange, ModelEvent, ModelWords};

use super::Desk;

const NO_LOADING: &str = "the model of a recording's reading stays: name another in [model], and replay it again";

impl Desk {
    /// Passes the wish for another model on. The answer comes when its bundle is loaded and verified, or refused.
    pub(super) fn ask_for_model(&mut self, request: Request) {
        let Command::Model { bundle } = &request.command else { return };
        let load = Load { bundle: bundle.clone(), request: None };
        let refused = match &self.loading {
            None => NO_LOADING,
            Some(loading) => match loading.ask.try_send(Load { request: Some(request), ..load }) {
                Ok(()) => return,
                Err(error) => {
                    let load = error.into_inner();
                    return answer(load.request, Err("bundles are being loaded already: try again".to_owned()));
                }
            },
        };
        answer(Some(request), Err(refused.to_owned()));
    }

    pub(super) fn model_loaded(&mut self, loaded: Loaded) {
        let Loaded { bundle, outcome, request } = loaded;
        let folder = bundle.display().to_string();
        let fits = outcome.and_then(|incoming| self.fits_the_exam(&incoming).map(|()| incoming));
        let result = match fits {
            Ok(incoming) => {
                let event = told(ModelChange::Ready, folder, Some(incoming.model.clone()));
                self.incoming = Some(incoming);
                self.publish(self.now(), Event::Model(event));
                self.swap_when_due();
                Ok(())
            }
            Err(why) => {
                tracing::error!(bundle = folder, why, "the model before stays");
                let event = ModelEvent { why: Some(why.clone()), ..told(ModelChange::Refused, folder, None) };
                self.publish(self.now(), Event::Model(event));
                Err(why)
            }
        };
        self.show_now();
        answer(request, result);
    }

    /// Labels of two schemes mean different things, and an exam has one summary.
    fn fits_the_exam(&self, incoming: &Incoming) -> Result<(), String> {
        let (own, its) = (self.settings.terms.scheme(), incoming.terms.scheme());
        if self.run.is_none() || own == its {
            return Ok(());
        }
        let model = incoming.model.id();
        Err(format!("{model} has the scheme {its:?} and the open exam is read by {own:?}: close the exam first"))
    }

    /// Takes the model that waits, unless a field is being recorded or the finger has fields read by the one before.
    pub(super) fn swap_when_due(&mut self) {
        let finger = self.state.finger();
        let due = self.run.as_ref().is_none_or(|run| {
            run.field.is_none() && finger.is_none_or(|finger| run.own_fields().all(|field| field.finger != finger))
        });
        if !due {
            return;
        }
        let Some(incoming) = self.incoming.take() else { return };
        let Incoming { bundle, intake, demands, classifiers, terms, model, runtime } = *incoming;
        self.generation += 1;
        self.swap.order(Order { generation: self.generation, intake, demands }, classifiers);
        self.settings.terms = terms;
        self.settings.provenance.model = model.clone();
        self.settings.provenance.runtime = runtime;
        if let Some(run) = &mut self.run {
            run.read_by_another = run.fields.len();
        }
        tracing::info!(model = model.id(), generation = self.generation, "another model reads");
        self.tell_provider();
        let provenance = Some(Box::new(self.settings.provenance.clone()));
        let event = told(ModelChange::Running, bundle.display().to_string(), Some(model));
        self.publish(self.now(), Event::Model(ModelEvent { provenance, ..event }));
    }
}

fn told(change: ModelChange, bundle: String, model: Option<ModelWords>) -> ModelEvent {
    ModelEvent { change, bundle, model, why: None, provenance: None }
}

fn answer(request: Option<Request>, result: Result<(), String>) {
    if let Some(request) = request {
        let answer = result.map_or_else(Answer::Refused, |()| Answer::Done);
        // Nobody waits for it any more: the events say the same.
        let _unheard = request.reply.send(answer);
    }
}
