//! The fixed sentences of an exam's summary in other languages. What was recorded is English and stays beside its
//! translation; a sentence that is not known here is shown as it was recorded.

use super::words::{Lang, fill};
use crate::finger::{Digit, Finger, Hand};
use crate::report::Abstain;

/// English as `aggregate` writes it, with a hole for each part that varies; then French, then Chinese.
const SENTENCES: [[&str; 3]; 20] = [
    [
        "{} on {} of {} evaluable fingers; {} not classifiable; {} not examined",
        "{} sur {} des {} doigts évaluables ; {} non classables ; {} non examinés",
        "{}：{} 指 / {} 个可评估手指；{} 指无法判读；{} 指未检查",
    ],
    [
        "no examined finger was classifiable: nothing can be said about a scleroderma pattern; this does not exclude \
         systemic sclerosis",
        "aucun doigt examiné n’était classable : rien ne peut être dit d’un aspect sclérodermique ; cela n’exclut pas \
         une sclérodermie systémique",
        "所检查的手指均无法判读：不能对硬皮病样改变作出任何判断；这不能排除系统性硬化症",
    ],
    [
        "no finger was examined: nothing can be said about a scleroderma pattern; this does not exclude systemic sclerosis",
        "aucun doigt n’a été examiné : rien ne peut être dit d’un aspect sclérodermique ; cela n’exclut pas une \
         sclérodermie systémique",
        "未检查任何手指：不能对硬皮病样改变作出任何判断；这不能排除系统性硬化症",
    ],
    ["scleroderma pattern ({}) seen on the {}", "aspect sclérodermique ({}) vu sur : {}", "可见硬皮病样改变（{}）：{}"],
    [
        "no scleroderma pattern seen on the examined fingers; this does not exclude systemic sclerosis",
        "aucun aspect sclérodermique vu sur les doigts examinés ; cela n’exclut pas une sclérodermie systémique",
        "所检查的手指未见硬皮病样改变；这不能排除系统性硬化症",
    ],
    [
        "no scleroderma pattern seen on the examined fingers of the protocol, but {} read on the {}; this does not \
         exclude systemic sclerosis",
        "aucun aspect sclérodermique vu sur les doigts du protocole examinés, mais {} lu sur : {} ; cela n’exclut pas \
         une sclérodermie systémique",
        "方案内所检查的手指未见硬皮病样改变，但{}见于：{}；这不能排除系统性硬化症",
    ],
    [
        "\"{}\" (scheme {}) not read on the examined fingers of the protocol, but {} read on the {}; this does not \
         exclude systemic sclerosis",
        "« {} » (schéma {}) non lu sur les doigts du protocole examinés, mais {} lu sur : {} ; cela n’exclut pas une \
         sclérodermie systémique",
        "方案内所检查的手指未读出“{}”（体系 {}），但{}见于：{}；这不能排除系统性硬化症",
    ],
    [
        "\"{}\" (scheme {}) not read on the examined fingers; this does not exclude systemic sclerosis",
        "« {} » (schéma {}) non lu sur les doigts examinés ; cela n’exclut pas une sclérodermie systémique",
        "所检查的手指未读出“{}”（体系 {}）；这不能排除系统性硬化症",
    ],
    ["\"{}\" (scheme {}) read on the {}", "« {} » (schéma {}) lu sur : {}", "读出“{}”（体系 {}）：{}"],
    [
        "category 1 is not the same as normal: it holds normal capillaries and non-specific abnormalities",
        "la catégorie 1 n’est pas synonyme de normal : elle réunit capillaires normaux et anomalies non spécifiques",
        "第1类不等于正常：它包括正常毛细血管和非特异性异常",
    ],
    [
        "incomplete: {} of the {} fingers of the protocol were evaluable",
        "incomplet : {} des {} doigts du protocole étaient évaluables",
        "不完整：{} / {} 个方案内手指可评估",
    ],
    [
        "published sensitivity by fingers examined, read by experts and not by this model: all eight 74.6 %, both ring \
         and both middle fingers 66.7 %, both ring fingers 59.8 %, one finger 31.7 % to 46.6 % (Dinsdale 2018, 101 \
         people with systemic sclerosis)",
        "sensibilité publiée selon les doigts examinés, lecture par des experts et non par ce modèle : les huit 74,6 %, \
         les deux annulaires et les deux majeurs 66,7 %, les deux annulaires 59,8 %, un seul doigt 31,7 % à 46,6 % \
         (Dinsdale 2018, 101 personnes atteintes de sclérodermie systémique)",
        "已发表的按检查手指数的敏感度（由专家而非本模型判读）：全部八指 74.6 %，双侧环指加中指 66.7 %，双侧环指 59.8 %，\
         单指 31.7 % 至 46.6 %（Dinsdale 2018，101 名系统性硬化症患者）",
    ],
    [
        "discordant: one positive finger among negative ones; image this finger again, and consider local trauma or \
         acrocyanosis",
        "discordant : un seul doigt positif parmi des négatifs ; refaire des images de ce doigt, et envisager un \
         traumatisme local ou une acrocyanose",
        "不一致：阴性手指中有一指阳性；请重新采集该指图像，并考虑局部外伤或手足发绀",
    ],
    [
        "policy \"any finger\" (sensitive): {}; policy \"two or more fingers\" (specific): {}; neither is a consensus \
         rule for a patient",
        "règle « un doigt suffit » (sensible) : {} ; règle « deux doigts ou plus » (spécifique) : {} ; ni l’une ni \
         l’autre n’est une règle de consensus pour un patient",
        "规则“任一手指”（敏感）：{}；规则“两指或以上”（特异）：{}；二者都不是针对患者的共识规则",
    ],
    [
        "{}: {}; outside the eight-finger protocol and not counted",
        "{} : {} ; hors protocole des huit doigts, non compté",
        "{}：{}；不在八指方案内，不计入",
    ],
    ["not examined, no reason given: {}", "non examinés, sans motif indiqué : {}", "未检查，未说明原因：{}"],
    [
        "{}: begun, and cut off before a field of it was complete",
        "{} : commencé, et interrompu avant qu’un champ en soit complet",
        "{}：已开始，但在任一视野完成前中断",
    ],
    ["{}: not classifiable ({})", "{} : non classable ({})", "{}：无法判读（{}）"],
    ["{}: not examined ({})", "{} : non examiné ({})", "{}：未检查（{}）"],
    ["{}: {}", "{} : {}", "{}：{}"],
];

/// Parts that fill holes; fingers and reasons are known elsewhere.
const PARTS: [[&str; 3]; 3] = [
    ["met", "remplie", "符合"],
    ["not met", "non remplie", "不符合"],
    [
        "not answerable, too few fingers were evaluable",
        "indécidable, trop peu de doigts évaluables",
        "无法回答，可评估手指过少",
    ],
];

/// A sentence of a summary in `lang`; `None` where it is not known.
pub(super) fn translated(sentence: &str, lang: Lang) -> Option<String> {
    SENTENCES.iter().find_map(|all| {
        let holes = holes(all[0], sentence)?;
        let parts: Vec<String> = holes.iter().map(|hole| part(hole, lang)).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Some(fill(lang.of(*all), &parts))
    })
}

/// What stands in the holes of `template` where `text` was made from it. Each hole ends where the next fixed part
/// begins for the first time.
fn holes<'t>(template: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut fixed = template.split("{}");
    let mut rest = text.strip_prefix(fixed.next()?)?;
    let mut found = Vec::new();
    let mut fixed = fixed.peekable();
    while let Some(next) = fixed.next() {
        let hole = if fixed.peek().is_some() { rest.find(next)? } else { rest.strip_suffix(next)?.len() };
        found.push(&rest[..hole]);
        rest = &rest[hole + next.len()..];
    }
    rest.is_empty().then_some(found)
}

fn part(text: &str, lang: Lang) -> String {
    if let Some(all) = PARTS.iter().find(|all| all[0] == text) {
        return lang.of(*all).to_owned();
    }
    if let Some(why) = ABSTENTIONS.into_iter().find(|why| why.words() == text) {
        return lang.abstain(why).to_owned();
    }
    let fingers: Option<Vec<&str>> = text.split(", ").map(|name| finger(name).map(|f| lang.finger(f))).collect();
    match (fingers, holes("not classifiable ({})", text)) {
        (Some(fingers), _) => lang.list(&fingers),
        (None, Some(why)) => {
            format!("{} ({})", lang.own_call(crate::reader::OwnCall::NotClassifiable), part(why[0], lang))
        }
        (None, None) => lang.label(text),
    }
}

const ABSTENTIONS: [Abstain; 7] = [
    Abstain::NothingReadable,
    Abstain::TooFewFields,
    Abstain::NotConfirmed,
    Abstain::BetweenThresholds,
    Abstain::Unstable,
    Abstain::OutOfCohort,
    Abstain::Contradiction,
];

fn finger(words: &str) -> Option<Finger> {
    let digits = [Digit::Thumb, Digit::Index, Digit::Middle, Digit::Ring, Digit::Little];
    let all = [Hand::Right, Hand::Left].into_iter().flat_map(|hand| digits.map(|digit| Finger::new(hand, digit)));
    all.into_iter().find(|finger| finger.words() == words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aggregate::{FAST_TRACK, Reader, exam::summarise};
    use crate::outcome::Tally;
    use crate::report::{Confidence, Decision, FingerResult};

    fn result(finger: Finger, read: u8, scheme: &str) -> FingerResult {
        let called = |label: &str| Decision::Called {
            label: label.to_owned(),
            scheme: scheme.to_owned(),
            confidence: Confidence::Probability(0.9),
        };
        FingerResult {
            finger,
            decision: match read {
                0 => called("category_2"),
                1 => called("category_1"),
                n => Decision::Abstained { why: ABSTENTIONS[usize::from(n - 2) % 7] },
            },
            fields_positive: 0,
            fields_negative: 0,
            fields_not_classifiable: 0,
            frames: Tally::default(),
            measured: None,
            second: vec![],
            evidence: vec![],
        }
    }

    fn any_finger() -> impl Strategy<Value = Finger> {
        (any::<bool>(), 1..=5_u8)
            .prop_map(|(right, digit)| format!("{}{digit}", if right { 'R' } else { 'L' }).parse().unwrap())
    }

    proptest! {
        /// So that a sentence that is written otherwise some day is translated otherwise on the same day.
        #[test]
        fn every_sentence_of_every_summary_is_known_in_every_language(
            read in prop::collection::btree_map(any_finger(), 0..9_u8, 0..9),
            skipped in prop::collection::btree_map(any_finger(), Just("bandage".to_owned()), 0..4),
            cut in prop::collection::btree_set(any_finger(), 0..4),
            fast_track in any::<bool>(),
        ) {
            let scheme = if fast_track { FAST_TRACK } else { "maricq" };
            let labels = ["category_1", "category_2"].map(str::to_owned).to_vec();
            let reader = Reader::new(labels, 1, scheme.to_owned(), Some(1.0), 0.2, 0.8).unwrap();
            let fingers: Vec<FingerResult> = read.iter().map(|(finger, n)| result(*finger, *n, scheme)).collect();
            let summary = summarise(&fingers, &skipped, &cut, &reader);
            for sentence in summary.wording.iter().chain([&summary.counts]) {
                for lang in [Lang::Fr, Lang::Zh] {
                    let told = translated(sentence, lang);
                    let left = ["finger", "examined", "evaluable", "not ", "classifiable", "met"];
                    prop_assert!(
                        told.as_ref().is_some_and(|told| !left.iter().any(|word| told.contains(word))),
                        "{}: {:?}", sentence, told
                    );
                }
                // The English is put together again from the same parts.
                let english = sentence.replace("category_", "category ");
                prop_assert_eq!(translated(sentence, Lang::En), Some(english));
            }
        }
    }

    #[test]
    fn what_varies_is_taken_out_and_what_is_not_known_is_said_so() {
        let counts = "category 2 on 3 of 7 evaluable fingers; 1 not classifiable; 0 not examined";
        assert_eq!(
            translated(counts, Lang::Fr).unwrap(),
            "catégorie 2 sur 3 des 7 doigts évaluables ; 1 non classables ; 0 non examinés"
        );
        let skipped = "left little finger: not examined (bandage: wet)";
        assert_eq!(translated(skipped, Lang::Zh).unwrap(), "左手小指：未检查（bandage: wet）");
        assert_eq!(translated("a sentence of another version", Lang::Fr), None);
        assert_eq!(holes("{} on {}", "a on b on c"), Some(vec!["a", "b on c"]));
    }
}
