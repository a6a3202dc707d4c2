//! Second opinions: what models that do not decide would call, by the same rules, and where they say the opposite.

use super::{Reader, Rules, finger};
use crate::finger::Finger;
use crate::report::{Decision, FieldDoubt, FieldResult, FieldVerdict, SecondFinger};

/// What `model` would call the finger, from its own reading of the fields. A field that it did not read is none.
pub fn decide(model: &str, finger: Finger, fields: &[FieldResult], rules: &Rules, reader: &Reader) -> SecondFinger {
    let own: Vec<FieldResult> = fields.iter().filter(|f| f.finger == finger).map(|f| as_read_by(model, f)).collect();
    SecondFinger { model: model.to_owned(), decision: finger::decide(finger, &own, rules, reader).decision }
}

fn as_read_by(model: &str, field: &FieldResult) -> FieldResult {
    let own = field.second.iter().find(|second| second.model == model);
    let unread = FieldVerdict::NotClassifiable(FieldDoubt::NothingReadable);
    FieldResult {
        distinct: own.map_or(0, |own| own.distinct),
        pooled: own.and_then(|own| own.pooled.clone()),
        verdict: own.map_or(unread, |own| own.verdict),
        ..field.clone()
    }
}

/// Whether both called, in one scheme, to opposite sides. An abstention contradicts nobody.
pub fn opposite(deciding: (&Decision, &Reader), second: (&Decision, &Reader)) -> bool {
    let called = |decision: &Decision| matches!(decision, Decision::Called { .. });
    called(deciding.0)
        && called(second.0)
        && deciding.1.scheme() == second.1.scheme()
        && finger::is_positive(deciding.0, deciding.1) != finger::is_positive(second.0, second.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Tally;
    use crate::report::{Abstain, Confidence, Pooled, SecondField};

    fn reader(scheme: &str, labels: [&str; 2]) -> Reader {
        let labels = labels.map(str::to_owned).to_vec();
        Reader::new(labels, 1, scheme.to_owned(), Some(1.0), 0.2, 0.8).unwrap()
    }

    fn field(number: u32, second: &[(&str, FieldVerdict)]) -> FieldResult {
        let pooled = Pooled { logits: vec![-1.0, 1.0], probs: vec![0.12, 0.88], spread: Some(0.1) };
        let of = |(model, verdict): &(&str, FieldVerdict)| SecondField {
            model: (*model).to_owned(),
            distinct: 12,
            pooled: Some(pooled.clone()),
            verdict: *verdict,
        };
        FieldResult {
            finger: Finger::PROTOCOL[0],
            number,
            place: number,
            reacquired: false,
            from_ms: 0,
            to_ms: 2000,
            frames: Tally::default(),
            distinct: 60,
            pooled: None,
            verdict: FieldVerdict::Negative,
            rule: None,
            measured: None,
            second: second.iter().map(of).collect(),
            evidence: vec![],
        }
    }

    #[test]
    fn each_model_is_judged_by_its_own_reading() {
        let reader = reader("fast-track", ["a", "b"]);
        let fields = [
            field(1, &[("x 1", FieldVerdict::Positive), ("y 1", FieldVerdict::Negative)]),
            field(2, &[("x 1", FieldVerdict::Positive)]),
        ];
        let call = |model| decide(model, Finger::PROTOCOL[0], &fields, &Rules::default(), &reader).decision;
        assert!(matches!(call("x 1"), Decision::Called { label, .. } if label == "b"));
        assert_eq!(call("y 1"), Decision::Abstained { why: Abstain::TooFewFields });
        assert_eq!(call("z 1"), Decision::Abstained { why: Abstain::NothingReadable });
    }

    #[test]
    fn only_two_calls_of_one_scheme_can_be_opposite() {
        let fast = reader("fast-track", ["category 1", "category 2"]);
        let other_words = reader("fast-track", ["category_1", "category_2"]);
        let other_scheme = reader("normal-abnormal", ["normal", "abnormal"]);
        let call = |label: &str| Decision::Called {
            label: label.to_owned(),
            scheme: String::new(),
            confidence: Confidence::Probability(0.9),
        };
        let none = Decision::Abstained { why: Abstain::Unstable };
        assert!(opposite((&call("category 2"), &fast), (&call("category_1"), &other_words)));
        assert!(!opposite((&call("category 2"), &fast), (&call("category_2"), &other_words)));
        assert!(!opposite((&call("category 2"), &fast), (&call("normal"), &other_scheme)));
        assert!(!opposite((&call("category 2"), &fast), (&none, &other_words)));
        assert!(!opposite((&none, &fast), (&call("category_1"), &other_words)));
    }
}
