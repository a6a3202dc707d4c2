//! The report's own words in each of its languages, and how figures are written in them. What was typed by people is
//! shown as they typed it.

use std::fmt;
use std::str::FromStr;

use crate::fast_track::Rule;
use crate::finger::{Digit, Finger, Hand};
use crate::measured::NotMeasured;
use crate::outcome::Damage;
use crate::reader::{OwnCall, Prepared};
use crate::report::{Abstain, FieldDoubt};
use crate::scale::ScaleMethod;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    #[default]
    En,
    Fr,
    Zh,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a report is written in en, fr or zh")]
pub struct NoLang;

impl FromStr for Lang {
    type Err = NoLang;

    fn from_str(text: &str) -> Result<Self, NoLang> {
        Self::ALL.into_iter().find(|lang| lang.code() == text).ok_or(NoLang)
    }
}

impl fmt::Display for Lang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Lang {
    pub const ALL: [Self; 3] = [Self::En, Self::Fr, Self::Zh];

    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
            Self::Zh => "zh",
        }
    }

    pub const fn say(self, word: Word) -> &'static str {
        self.of(word.all())
    }

    pub(super) const fn of(self, all: [&'static str; 3]) -> &'static str {
        all[self as usize]
    }

    /// A word with its holes filled, in their order.
    pub fn fill(self, word: Word, holes: &[&str]) -> String {
        fill(self.say(word), holes)
    }

    /// "label: value", with the colon of the language.
    pub fn pair(self, label: &str, value: &str) -> String {
        let colon = self.of([": ", "\u{A0}: ", "："]);
        format!("{label}{colon}{value}")
    }

    pub fn list<T: AsRef<str>>(self, items: &[T]) -> String {
        let comma = self.of([", ", ", ", "、"]);
        items.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(comma)
    }

    /// With the decimal mark of the language.
    pub fn number(self, value: f64, digits: usize) -> String {
        let text = format!("{value:.digits$}");
        if self == Self::Fr { text.replace('.', ",") } else { text }
    }
}

/// The same in every language, and without a time zone to be mistaken about.
pub fn utc(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Puts each of `holes` in the place of a `{}`, in their order.
pub(super) fn fill(template: &str, holes: &[&str]) -> String {
    let mut parts = template.split("{}");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (part, hole) in parts.zip(holes.iter().copied().chain(std::iter::repeat(""))) {
        text.push_str(hole);
        text.push_str(part);
    }
    text
}

macro_rules! words {
    ($($name:ident: $en:literal, $fr:literal, $zh:literal;)*) => {
        /// A word or sentence of the report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Word { $($name),* }

        impl Word {
            #[cfg(test)]
            const EVERY: &[Self] = &[$(Self::$name),*];

            const fn all(self) -> [&'static str; 3] {
                match self { $(Self::$name => [$en, $fr, $zh]),* }
            }
        }
    };
}

words! {
    Title: "Nailfold capillaroscopy", "Capillaroscopie péri-unguéale", "甲襞毛细血管镜检查";
    Report: "Report of an examination", "Compte rendu d’examen", "检查报告";
    Notice: "Research use only; not validated on patients; not a diagnosis.", "Usage réservé à la recherche ; non validé sur des patients ; ne constitue pas un diagnostic.", "仅供研究使用；未经患者验证；不构成诊断。";
    Subject: "Pseudonym", "Pseudonyme", "代号";
    ExamId: "Examination", "Examen", "检查编号";
    Date: "Date", "Date", "日期";
    DateUnknown: "not recorded (a recording that does not say when it was made)", "non enregistrée (enregistrement sans date)", "未记录（录像未注明时间）";
    OpenedClosed: "{} to {}", "{} à {}", "{} 至 {}";
    Device: "Device", "Appareil", "设备";
    Serial: "serial {}", "n° de série {}", "序列号 {}";
    NoSerial: "no serial number known", "numéro de série inconnu", "序列号未知";
    Picture: "Picture", "Image", "图像";
    Scale: "Scale", "Échelle", "比例";
    ScaleKnown: "{} µm per pixel ({}); measured {}", "{} µm par pixel ({}) ; mesurée {}", "每像素 {} µm（{}）；测定于 {}";
    ScaleUndated: "at a time that is not recorded", "à une date non enregistrée", "未记录的时间";
    ScaleBy: "by {}", "par {}", "测定人 {}";
    ScaleUntil: "valid until {}", "valable jusqu’au {}", "有效期至 {}";
    ScaleExpired: "expired {}: nothing in micrometres from then on", "expirée le {} : rien en micromètres à partir de là", "已于 {} 过期：此后不给出任何微米数值";
    FieldWidth: "field {} mm wide", "champ de {} mm de large", "视野宽 {} mm";
    NoScale: "no scale: nothing in micrometres, no density, no giants", "pas d’échelle : rien en micromètres, ni densité ni mégacapillaires", "无比例：不给出任何微米数值、密度和巨大毛细血管";
    Preparation: "Preparation", "Préparation", "检查准备";
    NotRecorded: "not recorded", "non enregistrée", "未记录";
    Acclimatised: "{} min in the room", "{} min d’acclimatation", "室内适应 {} 分钟";
    RoomTemperature: "room {} °C", "salle à {} °C", "室温 {} °C";
    ToldBy: "told by {}", "indiqué par {}", "记录人 {}";
    Ended: "Ending", "Clôture", "结束方式";
    ByOperator: "closed by the operator", "clos par l’opérateur", "由操作者结束";
    ByStop: "ended by a stop of the service", "terminé par l’arrêt du service", "因服务停止而结束";
    StillOpen: "still being recorded", "en cours d’enregistrement", "仍在记录中";
    NotEnded: "interrupted, never closed", "interrompu, jamais clos", "已中断，未结束";
    AlertOpen: "This examination is still being recorded: what follows is what is on record so far, without a summary.", "Cet examen est encore en cours d’enregistrement : ce qui suit est l’état actuel, sans synthèse.", "本次检查仍在记录中：以下仅为目前已记录的内容，无总结。";
    AlertInterrupted: "This examination was interrupted and never closed: what follows is what is on record, without a summary. Lines missing at its end cannot be seen.", "Cet examen a été interrompu et jamais clos : ce qui suit est ce qui a été enregistré, sans synthèse. Une fin manquante ne peut être détectée.", "本次检查已中断且未结束：以下仅为已记录的内容，无总结；末尾若有缺失则无法察觉。";
    AlertStopped: "The service was stopped before this examination was closed; it was closed with what was on record.", "Le service a été arrêté avant la clôture de cet examen ; il a été clos avec ce qui était enregistré.", "服务在检查结束前停止；检查以已记录的内容结束。";
    AlertReportMissing: "This examination was closed, but its file exam.json is still to be written: start the service once.", "Cet examen est clos, mais son fichier exam.json reste à écrire : démarrez le service une fois.", "本次检查已结束，但 exam.json 文件尚未写出：请启动一次服务。";
    AlertAmendedAfter: "Amended after signature: what was added after {} is signed by nobody.", "Modifié après signature : les ajouts postérieurs au {} ne sont signés par personne.", "签名后有修改：{} 之后添加的内容无人签名。";
    AlertUnsigned: "Not signed.", "Non signé.", "未签名。";
    Summary: "Summary", "Synthèse", "总结";
    NoSummary: "No summary: the examination is not closed.", "Pas de synthèse : l’examen n’est pas clos.", "无总结：检查尚未结束。";
    AsRecorded: "As recorded (English):", "Tel qu’enregistré (anglais) :", "原始记录（英文）：";
    Fingers: "Fingers", "Doigts", "各指结果";
    ColFinger: "Finger", "Doigt", "手指";
    ColMachine: "Machine", "Machine", "机器判读";
    ColReader: "Reader", "Lecteur", "阅片者";
    ColFields: "Fields +/−/?", "Champs +/−/?", "视野 +/−/?";
    ColFrames: "Frames used/seen", "Images lues/vues", "已用/已见帧";
    ColDensity: "Density /mm", "Densité /mm", "密度 /mm";
    ColMedian: "Median µm", "Médiane µm", "中位宽 µm";
    ColLargest: "Largest µm", "Max. µm", "最大宽 µm";
    ColGiants: "Giants", "Méga-cap.", "巨大血管";
    ColHaemorrhages: "Haem.", "Hém.", "出血";
    ColGaps: "Gaps", "Vides", "缺失区";
    ColumnsExplained: "Fields +/−/?: above the upper threshold, below the lower one, not classifiable. Density: mean over the measured fields; below it the least field with its interval: without the loops of which the network is unsure, with those too faint to count. Widths are apical, as the network estimates them. Haem.: haemorrhages, sum over the fields. Gaps: stretches of more than half a millimetre without a loop, on the picture shown. A dash: not measured.", "Champs +/−/? : au-dessus du seuil haut, au-dessous du seuil bas, non classables. Densité : moyenne des champs mesurés ; dessous, le champ le plus faible avec son intervalle : sans les anses dont le réseau n’est pas sûr, avec celles trop pâles pour être comptées. Largeurs apicales, estimées par le réseau. Hém. : hémorragies, somme des champs. Vides : plus d’un demi-millimètre sans anse, sur l’image montrée. Tiret : non mesuré.", "视野 +/−/?：高于上阈值、低于下阈值、无法判读。密度：各测量视野的平均值；其下为最低视野及其区间（不计网络不确定的管袢，至计入过淡未计的管袢）。宽度为管袢顶端宽度，由网络估计。出血：各视野之和。缺失区：所示图像上超过半毫米无管袢的区段。短横线：未测量。";
    Least: "min {}", "min {}", "最低 {}";
    Probability: "probability {}", "probabilité {}", "概率 {}";
    Score: "score {}, no probability", "score {}, pas une probabilité", "评分 {}，非概率";
    NotClassifiable: "not classifiable: {}", "non classable : {}", "无法判读：{}";
    Skipped: "not examined: {}", "non examiné : {}", "未检查：{}";
    CutOff: "begun, cut off", "commencé, interrompu", "已开始，被中断";
    NotExamined: "not examined", "non examiné", "未检查";
    NoCallYet: "no result on record", "aucun résultat enregistré", "无结果记录";
    NoOwnCall: "reader: no call", "lecteur : aucun avis", "阅片者：未判读";
    OwnCalls: "The reader's own calls and comments", "Avis et commentaires du lecteur", "阅片者的判读与评论";
    NoOwnCalls: "No call and no comment of a reader is on record.", "Aucun avis ni commentaire de lecteur n’est enregistré.", "没有阅片者的判读或评论记录。";
    Blinded: "before the machine's was shown", "avant affichage de l’avis de la machine", "在显示机器判读之前";
    Unblinded: "after the machine's was shown", "après affichage de l’avis de la machine", "在显示机器判读之后";
    AddedLater: "added after the close", "ajouté après la clôture", "检查结束后添加";
    Comment: "Comment", "Commentaire", "评论";
    Contradictions: "Contradictions", "Contradictions", "矛盾";
    NoContradictions: "None between model, Fast Track rules and reader.", "Aucune entre modèle, règles Fast Track et lecteur.", "模型、Fast Track 规则与阅片者之间无矛盾。";
    NoContradictionsOfRules: "None between model and Fast Track rules; no reader’s call to compare with.", "Aucune entre modèle et règles Fast Track ; pas d’avis du lecteur à comparer.", "模型与 Fast Track 规则之间无矛盾；无阅片者判断可比较。";
    NoContradictionsOfReader: "None between model and reader; no Fast Track rule to compare with.", "Aucune entre modèle et lecteur ; pas de règle Fast Track à comparer.", "模型与阅片者之间无矛盾；无 Fast Track 规则可比较。";
    NothingToCompare: "Nothing to compare: of what the model decided neither the Fast Track rules nor a reader said anything.", "Rien à comparer : de ce que le modèle a décidé, ni les règles Fast Track ni un lecteur n’ont rien dit.", "无可比较：对模型已判断的内容，Fast Track 规则和阅片者均未作出判断。";
    ContradictsRule: "{}, field {}: model and Fast Track rules contradict each other ({}); the field has no category", "{}, champ {} : le modèle et les règles Fast Track se contredisent ({}) ; le champ reste sans catégorie", "{}，视野 {}：模型与 Fast Track 规则矛盾（{}）；该视野不定类别";
    ContradictRule: "{}, fields {}: model and Fast Track rules contradict each other ({}); these fields have no category", "{}, champs {} : le modèle et les règles Fast Track se contredisent ({}) ; ces champs restent sans catégorie", "{}，视野 {}：模型与 Fast Track 规则矛盾（{}）；这些视野不定类别";
    ContradictsFields: "{}: some fields above the upper threshold, others below the lower one", "{} : certains champs au-dessus du seuil haut, d’autres au-dessous du seuil bas", "{}：部分视野高于上阈值，部分低于下阈值";
    ContradictsReader: "{}: machine {}, reader {}", "{} : machine {}, lecteur {}", "{}：机器 {}，阅片者 {}";
    NotMeasuredHeading: "What was not measured", "Ce qui n’a pas été mesuré", "未测量的内容";
    AllMeasured: "Loops were measured in every field.", "Les anses ont été mesurées dans tous les champs.", "所有视野均已测量管袢。";
    NoField: "No field was recorded.", "Aucun champ n’a été enregistré.", "未记录任何视野。";
    NoLocator: "Loops: no network that finds them was configured, so nothing was measured.", "Anses : aucun réseau de localisation n’était configuré, rien n’a été mesuré.", "管袢：未配置定位网络，未作任何测量。";
    FieldNotMeasured: "{}, field {}: {}", "{}, champ {} : {}", "{}，视野 {}：{}";
    FieldsNotMeasured: "{}, fields {}: {}", "{}, champs {} : {}", "{}，视野 {}：{}";
    NoMeasuredFrame: "no frame of it was measured", "aucune de ses images n’a été mesurée", "没有测量任何一帧";
    Faults: "Faults during the examination", "Incidents pendant l’examen", "检查期间的故障";
    Pictures: "Pictures", "Images", "图像";
    FieldLine: "Field {}", "Champ {}", "视野 {}";
    Above: "above the threshold", "au-dessus du seuil", "高于阈值";
    Below: "below the threshold", "au-dessous du seuil", "低于阈值";
    Undetermined: "rules: undetermined", "règles : indéterminé", "规则：不确定";
    Borderline: "borderline", "limite", "临界";
    MeasuredDensity: "{} ({}–{})/mm", "{} ({}–{})/mm", "{}（{}–{}）/mm";
    MeasuredMedian: "median {} µm", "médiane {} µm", "中位 {} µm";
    MeasuredLargest: "largest {} µm", "max. {} µm", "最大 {} µm";
    MeasuredGiants: "giants {}", "mégacapillaires {}", "巨大 {}";
    MeasuredHaemorrhages: "haemorrhages {}", "hémorragies {}", "出血 {}";
    MeasuredAbnormal: "abnormal {}", "anormales {}", "异常 {}";
    CorrectedField: "field {} as corrected by {} ({} loops)", "champ {} corrigé par {} ({} anses)", "视野 {}，经 {} 更正（{} 个管袢）";
    NotCorrectable: "field {}: the corrections on record cannot be applied: {}", "champ {} : les corrections au dossier ne peuvent être appliquées : {}", "视野 {}：无法应用记录中的更正：{}";
    CorrectedFinger: "with the corrections: {} loops a mm on average, {} in the least field", "avec les corrections : {} anses par mm en moyenne, {} dans le champ le plus pauvre", "更正后：平均每毫米 {} 个管袢，最少的视野 {} 个";
    MeasuredFrames: "{}/{} frames", "{}/{} images", "{}/{} 帧";
    Caption: "field {}, frame {}", "champ {}, image {}", "视野 {}，帧 {}";
    CaptionNotMeasured: "loops not measured on this frame", "anses non mesurées sur cette image", "此帧未测量管袢";
    CaptionAlt: "Kept frame of the {}: {} loops marked", "Image conservée du {} : {} anses marquées", "{}的留存图像：标记 {} 个管袢";
    BarNone: "no scale", "pas d’échelle", "无比例";
    FrameNotKept: "The frame could not be kept when it was taken; its digest is on record.", "L’image n’a pu être conservée ; son empreinte est enregistrée.", "拍摄时未能保存该帧；其摘要已记录。";
    FrameDamaged: "The kept frame cannot be shown ({}).", "L’image conservée ne peut être affichée ({}).", "无法显示留存的帧（{}）。";
    NoFrame: "No frame of this finger was kept.", "Aucune image de ce doigt n’a été conservée.", "该手指没有留存的帧。";
    Legend: "Marks", "Repères", "标记";
    LegendNormal: "normal, below 20 µm", "normale, moins de 20 µm", "正常，<20 µm";
    LegendEctatic: "ectatic, 20 to 50 µm", "ectasique, 20 à 50 µm", "扩张，20–50 µm";
    LegendGiant: "giant, above 50 µm", "géante, plus de 50 µm", "巨大，>50 µm";
    LegendAbnormal: "abnormal shape", "forme anormale", "异常形态";
    LegendNotEvaluable: "not evaluable", "non évaluable", "无法评估";
    LegendUncounted: "thin: not counted", "trait fin : non comptée", "细线：未计数";
    LegendHaemorrhage: "dashed circle: haemorrhage", "cercle pointillé : hémorragie", "虚线圆：出血";
    LegendGap: "thick: gap", "trait épais : vide", "粗线：缺失区";
    LegendBorderline: "Borderline: loops of which the network is unsure, or a width a little other, would change what the rules say. Figures beside marks: apical width in µm. Frames: those that agree, of those measured.", "Limite : des anses dont le réseau n’est pas sûr, ou une largeur un peu autre, changeraient l’avis des règles. Chiffres près des repères : largeur apicale en µm. Images : concordantes sur mesurées.", "临界：网络不确定的管袢或宽度略有不同即会改变规则结论。标记旁数字：顶端宽度（µm）。帧：一致的/测量的。";
    MadeWith: "Made with", "Réalisé avec", "使用的软件与模型";
    Software: "Software", "Logiciel", "软件";
    Configuration: "Configuration", "Configuration", "配置";
    Classifier: "Classifier", "Classifieur", "分类模型";
    Locator: "Loop finder", "Localisation des anses", "管袢定位模型";
    Runtime: "Runtime", "Moteur d’exécution", "运行库";
    ModelWords: "{} {}; scheme {}; labels {}; trained on {}; {}", "{} {} ; schéma {} ; classes {} ; entraîné sur {} ; {}", "{} {}；体系 {}；类别 {}；训练数据 {}；{}";
    LocatorWords: "{} {}; trained on {}; {}", "{} {} ; entraîné sur {} ; {}", "{} {}；训练数据 {}；{}";
    NotValidated: "NOT validated on patients", "NON validé sur des patients", "未经患者验证";
    Validated: "validated on patients, by its maker's word", "validé sur des patients, selon son auteur", "据制作者称已经患者验证";
    ProviderRunning: "runs on {}", "exécuté sur {}", "运行于 {}";
    SeveralProvenances: "The examination was resumed; this is what its newest part was made with.", "L’examen a été repris ; voici ce qui a servi à sa partie la plus récente.", "检查曾恢复进行；以下为最近部分所用。";
    RecordHead: "Record", "Enregistrement", "记录";
    RecordWords: "{} lines, {} frames; chain {}", "{} lignes, {} images ; chaîne {}", "{} 行，{} 帧；链 {}";
    AmendmentsHead: "Amendments", "Ajouts", "修订";
    AmendmentsWords: "{}; chain {}", "{} ; chaîne {}", "{} 条；链 {}";
    NoAmendments: "none", "aucun", "无";
    FramesSeen: "Frames", "Images", "帧";
    FramesWords: "{} seen, {} used, {} refused by the quality gate, {} damaged, {} dropped, {} failed", "{} vues, {} lues, {} refusées par le contrôle qualité, {} endommagées, {} abandonnées, {} en échec", "见到 {}，使用 {}，质控拒绝 {}，损坏 {}，丢弃 {}，失败 {}";
    Signature: "Signature", "Signature", "签名";
    SignedBy: "Signed by {} on {}", "Signé par {} le {}", "签名人 {}，{}";
    Signs: "signs the state {}", "signe l’état {}", "签署状态 {}";
    SignHere: "Name, date and signature of the reader", "Nom, date et signature du lecteur", "阅片者姓名、日期、签名";
    SignOpen: "Only a closed examination can be signed.", "Seul un examen clos peut être signé.", "只有已结束的检查才能签名。";
    PageOf: "page {} of {}", "page {} sur {}", "第 {} 页，共 {} 页";
}

impl Lang {
    pub fn finger(self, finger: Finger) -> &'static str {
        if self == Self::En {
            return finger.words();
        }
        self.of(match (finger.hand, finger.digit) {
            (Hand::Right, Digit::Thumb) => ["", "pouce droit", "右手拇指"],
            (Hand::Right, Digit::Index) => ["", "index droit", "右手食指"],
            (Hand::Right, Digit::Middle) => ["", "majeur droit", "右手中指"],
            (Hand::Right, Digit::Ring) => ["", "annulaire droit", "右手环指"],
            (Hand::Right, Digit::Little) => ["", "auriculaire droit", "右手小指"],
            (Hand::Left, Digit::Thumb) => ["", "pouce gauche", "左手拇指"],
            (Hand::Left, Digit::Index) => ["", "index gauche", "左手食指"],
            (Hand::Left, Digit::Middle) => ["", "majeur gauche", "左手中指"],
            (Hand::Left, Digit::Ring) => ["", "annulaire gauche", "左手环指"],
            (Hand::Left, Digit::Little) => ["", "auriculaire gauche", "左手小指"],
        })
    }

    pub fn abstain(self, why: Abstain) -> &'static str {
        self.of([
            why.words(),
            match why {
                Abstain::NothingReadable => "aucune image lisible",
                Abstain::TooFewFields => "trop peu de champs lisibles",
                Abstain::NotConfirmed => "positif mais non confirmé",
                Abstain::BetweenThresholds => "entre les seuils",
                Abstain::Unstable => "instable d’une image à l’autre",
                Abstain::OutOfCohort => "différent des images d’entraînement du modèle",
                Abstain::Contradiction => "le classifieur et les règles Fast Track se contredisent",
            },
            match why {
                Abstain::NothingReadable => "没有可读的帧",
                Abstain::TooFewFields => "可读视野过少",
                Abstain::NotConfirmed => "阳性但未得到确认",
                Abstain::BetweenThresholds => "介于两阈值之间",
                Abstain::Unstable => "各帧之间不稳定",
                Abstain::OutOfCohort => "与模型的训练图像不同",
                Abstain::Contradiction => "分类模型与 Fast Track 规则矛盾",
            },
        ])
    }

    pub fn doubt(self, doubt: FieldDoubt) -> &'static str {
        match doubt {
            FieldDoubt::NothingReadable => self.abstain(Abstain::NothingReadable),
            FieldDoubt::TooFewFrames => self.of(["too few frames", "trop peu d’images", "帧数过少"]),
            FieldDoubt::TooShort => self.of(["too short", "trop court", "时间过短"]),
            FieldDoubt::Unstable => self.abstain(Abstain::Unstable),
            FieldDoubt::BetweenThresholds => self.abstain(Abstain::BetweenThresholds),
            FieldDoubt::OutOfCohort => self.abstain(Abstain::OutOfCohort),
            FieldDoubt::Contradiction => self.abstain(Abstain::Contradiction),
        }
    }

    pub fn rule(self, rule: Rule) -> &'static str {
        self.of([
            rule.words(),
            match rule {
                Rule::Normal => "règle 1 : densité d’au moins 7 et aucune anse géante",
                Rule::Giant => "règle 2 : une anse géante",
                Rule::LossWithAbnormalShapes => "règle 2 : densité d’au plus 3 et formes anormales",
                Rule::Otherwise => "règle 3 : ni règle 1 ni règle 2",
            },
            match rule {
                Rule::Normal => "规则 1：密度至少 7 且无巨大血管",
                Rule::Giant => "规则 2：有巨大血管",
                Rule::LossWithAbnormalShapes => "规则 2：密度不超过 3 且形态异常",
                Rule::Otherwise => "规则 3：不符合规则 1 和 2",
            },
        ])
    }

    pub fn not_measured(self, why: NotMeasured) -> &'static str {
        self.of([
            why.words(),
            match why {
                NotMeasured::NoScale => "échelle inconnue : les anses sont seulement comptées",
                NotMeasured::NoRow => "aucune rangée distale n’a été trouvée",
                NotMeasured::ShortRow => "moins d’un demi-millimètre de la rangée distale est visible",
                NotMeasured::Disagreement => "les images du champ ne s’accordent pas sur les anses",
            },
            match why {
                NotMeasured::NoScale => "比例未知：管袢只计数，不测量",
                NotMeasured::NoRow => "未找到远端排",
                NotMeasured::ShortRow => "可见的远端排不足半毫米",
                NotMeasured::Disagreement => "该视野各帧的管袢结果不一致",
            },
        ])
    }

    pub fn scale_method(self, how: ScaleMethod) -> &'static str {
        self.of(match how {
            ScaleMethod::StageMicrometer => ["stage micrometer", "micromètre objet", "镜台测微尺"],
            ScaleMethod::RulerInView => ["ruler in view", "règle dans le champ", "视野内标尺"],
            ScaleMethod::DeviceReading => ["read from the device", "lue sur l’appareil", "设备读数"],
            ScaleMethod::Entered => ["entered by hand", "saisie à la main", "手工输入"],
            ScaleMethod::Simulated => ["drawn picture", "image dessinée", "绘制图像"],
        })
    }

    pub fn prepared(self, point: Prepared) -> &'static str {
        self.of(match point {
            Prepared::NoCoffeeOrSmoking => ["no coffee or smoking", "ni café ni tabac", "未饮咖啡或吸烟"],
            Prepared::NoManicure => ["no manicure", "pas de manucure", "未做美甲"],
            Prepared::NoRaynaudAttack => ["no Raynaud attack", "pas de crise de Raynaud", "无雷诺发作"],
            Prepared::VasoactiveDrugsNoted => ["vasoactive drugs noted", "vasoactifs notés", "已记录血管活性药物"],
            Prepared::FingersLookedAt => ["fingers looked at", "doigts inspectés", "已检视手指"],
            Prepared::HandAtHeartLevel => ["hand at heart level", "main à hauteur du cœur", "手与心脏同高"],
            Prepared::OilApplied => ["oil applied", "huile appliquée", "已涂油"],
        })
    }

    pub fn own_call(self, call: OwnCall) -> &'static str {
        match call {
            OwnCall::Category1 => self.of(["category 1", "catégorie 1", "第1类"]),
            OwnCall::Category2 => self.of(["category 2", "catégorie 2", "第2类"]),
            OwnCall::NotClassifiable => self.of(["not classifiable", "non classable", "无法判读"]),
        }
    }

    /// A model's label. Those of Fast Track are known in each language; any other stands as its model has it.
    pub fn label(self, label: &str) -> String {
        match label {
            "category_1" | "category 1" => self.own_call(OwnCall::Category1).to_owned(),
            "category_2" | "category 2" => self.own_call(OwnCall::Category2).to_owned(),
            other => other.to_owned(),
        }
    }

    pub fn damage(self, damage: Damage) -> &'static str {
        self.of(match damage {
            Damage::Flagged => ["marked as damaged", "marquée endommagée", "标记为损坏"],
            Damage::Empty => ["empty", "vide", "空"],
            Damage::Foreign => ["not a picture of a known kind", "format d’image inconnu", "未知的图像格式"],
            Damage::Cut => ["cut off", "tronquée", "被截断"],
            Damage::Broken => ["broken inside", "corrompue", "内部损坏"],
            Damage::Merged => ["two pictures in one", "deux images en une", "两幅图像合为一"],
            Damage::Short => ["too few bytes", "octets manquants", "字节不足"],
            Damage::Size => ["of a size that is not read", "taille non prise en charge", "尺寸不受支持"],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_in_every_language_with_as_many_holes() {
        for word in Word::EVERY {
            let [en, fr, zh] = word.all();
            for text in [en, fr, zh] {
                assert!(!text.trim().is_empty(), "{word:?}");
                assert_eq!(text.matches("{}").count(), en.matches("{}").count(), "{word:?}: {text}");
            }
        }
    }

    #[test]
    fn figures_bear_the_mark_of_their_language() {
        assert_eq!(Lang::En.number(7.25, 1), "7.2");
        assert_eq!(Lang::Fr.number(7.5, 1), "7,5");
        assert_eq!(Lang::En.fill(Word::OpenedClosed, &["a {}", "b"]), "a {} to b");
        assert_eq!(fill("{} and {}", &["one"]), "one and ");
    }
}
