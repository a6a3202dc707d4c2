"""The comparison as one page that stands alone, and its figures as a table of text."""

from html import escape

from . import plots
from .card import spread, value
from .figures import UNITS

# Of the SCLEROCAP AI study (Microvasc Res 2025;157:104753), as its abstract gives them.
STUDY = (
    ("LightGBM on Hu and Haralick moments", "F1 0.79 ± 0.05"),
    ("ResNet-18", "accuracy 0.87"),
    ("VGG-16", "accuracy 0.90"),
    ("DenseNet-121", "accuracy 0.94 ± 0.02, F1 0.94, AUC 0.95"),
)
NOT_EQUALS = (
    "These must not be compared as equals: the study read images of patients and the unit by which it was split is not told in its abstract, while every figure "
    "of ours is of {whom}, of other microscopes' images, by another labelling, and of subjects that the model had not seen."
)
SHOWN = (("auc", "AUC"), ("f1", "F1"), ("accuracy", "accuracy"), ("sensitivity", "sensitivity"), ("specificity", "specificity"), ("ece", "ECE"), ("brier", "Brier"))
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1560px;margin:2em auto;padding:0 1em;color:#111;background:#fff}
table{border-collapse:collapse;font-size:13px;margin:1em 0}th,td{border-bottom:1px solid #ccc;padding:3px 8px;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}tr.not td{color:#777;font-style:italic}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(330px,1fr));gap:12px}svg{width:100%;font:11px system-ui,sans-serif}
.title{font-weight:600;font-size:12px}.box{fill:none;stroke:#999}.guide{stroke:#bbb;stroke-dasharray:3 3}
.key{margin-right:1.2em;white-space:nowrap}.key i{display:inline-block;width:1em;height:.5em;margin-right:.4em}.warn{border-left:4px solid #d55e00;padding-left:.8em}
"""


def page(result: dict, best: int = 6) -> str:
    """`result` is what `compare` wrote: cohort, plan, and figures by model."""
    models = result["models"]
    ranked = sorted(models, key=lambda name: -(models[name]["first"]["image"]["auc"]["value"] or 0.0))
    curves = {name: models[name]["first"]["curves"] for name in ranked[:best]}
    whom = "drawn nailfolds" if result["cohort"]["drawn"] else "one centre's images"
    sections = [
        f"<h1>Models compared on {escape(result['cohort']['name'])}</h1>",
        _cohort(result),
        '<h2>Images</h2><p>Subjects of the test part; value and 95 % interval over subjects (1000 resamples), at calibrated probability one half.</p>',
        _table(ranked, models, "image"),
        '<h2>Fingers and exams</h2><p>A finger by its second highest field, an exam by its highest finger.</p>',
        _table(ranked, models, "finger"), _table(ranked, models, "exam"),
        f"<h2>Over {result['plan']['repeats']} splits</h2><p>Mean and standard deviation, each split with a model of its own; without a deviation: of one split. "
        "In the last columns 70 to 30 <strong>by image</strong>, as studies often do: images of one person lie on both sides, so it is shown to see what it flatters, and is not valid.</p>",
        _spreads(ranked, models),
        f"<h2>Curves</h2><p>The {len(curves)} models of highest AUC over images.</p><p>{plots.legend(list(curves))}</p>",
        f'<div class="plots">{_curves(curves)}</div>',
        '<div class="plots">' + "".join(plots.confusion(f"{name}: images", c["confusion"], result["cohort"]["labels"]) for name, c in curves.items()) + "</div>",
        _importance(ranked[:best], models), _devices(ranked[:best], models), _study(whom), _calls(ranked, models),
    ]
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Models compared</title><style>{STYLE}</style>{"".join(sections)}</html>\n'


def _cohort(result: dict) -> str:
    c, plan = result["cohort"], result["plan"]
    first = "<p class=warn><strong>Synthetic; not validated on patients. Research use only, not a diagnosis.</strong></p>" if c["drawn"] else "<p class=warn><strong>Research use only, not a diagnosis.</strong></p>"
    parts = "; ".join(f"{part}: {n['subjects']} subjects, {n['images']} images, {n['positive']} positive" for part, n in c["parts"].items())
    return (
        f"{first}<p>{escape(c['description'])}. Scheme {escape(c['scheme'])}, positive {escape(c['labels'][1])}. First split (seed {plan['seed']}): {escape(parts)}. "
        f"Split by subject, probabilities by temperature scaling on the calibration subjects. sha256 over rows and images: {c['sha256'][:16]}.</p>"
        + (f"<p>{escape(c['definition'])}</p>" if c.get("definition") else "")
    )


def _table(ranked: list[str], models: dict, unit: str) -> str:
    head = "".join(f"<th>{title}</th>" for _, title in SHOWN)
    rows = "".join(
        f"<tr><td>{escape(name)}</td>" + "".join(f"<td>{value(models[name]['first'][unit][key])}</td>" for key, _ in SHOWN) + "</tr>" for name in ranked
    )
    f = models[ranked[0]]["first"][unit]
    return f"<table><thead><tr><th>{unit} (n {f['units']}, {f['positive']} positive)</th>{head}</tr></thead>{rows}</table>"


def _spreads(ranked: list[str], models: dict) -> str:
    head = "".join(f"<th>{unit} AUC</th><th>{unit} F1</th>" for unit in UNITS) + "<th>by image: AUC</th><th>by image: F1</th>"
    rows = ""
    for name in ranked:
        m = models[name]
        cells = "".join(f"<td>{spread(m['repeated'][unit][key])}</td>" for unit in UNITS for key in ("auc", "f1"))
        cells += "".join(f"<td><i>{spread(m['by_image'][key]) if 'by_image' in m else 'not run'}</i></td>" for key in ("auc", "f1"))
        rows += f"<tr><td>{escape(name)}</td>{cells}</tr>"
    return f"<table><thead><tr><th>model</th>{head}</tr></thead>{rows}</table>"


def _curves(curves: dict) -> str:
    return "".join(draw({name: c[what] for name, c in curves.items()}) for what, draw in (
        ("roc", plots.roc), ("reliability", plots.reliability), ("risk_coverage", plots.risk_coverage)
    ))


def _importance(ranked: list[str], models: dict) -> str:
    some = {name: models[name]["importance"] for name in ranked if models[name].get("importance")}
    if not some:
        return ""
    drawn = "".join(plots.bars(name, entries) for name, entries in some.items())
    return f'<h2>Feature importance</h2><p>AUC lost on up to 500 test images when one column is shuffled (mean of three), largest first.</p><div class="plots">{drawn}</div>'


def _devices(ranked: list[str], models: dict) -> str:
    devices = list(models[ranked[0]]["first"]["device"])
    head = "".join(f"<th>{escape(d)} (n {models[ranked[0]]['first']['device'][d]['units']})</th>" for d in devices)
    rows = "".join(f"<tr><td>{escape(name)}</td>" + "".join(f"<td>{value(models[name]['first']['device'][d]['auc'])}</td>" for d in devices) + "</tr>" for name in ranked)
    return f"<h2>By device</h2><p>AUC over images.</p><table><thead><tr><th>model</th>{head}</tr></thead>{rows}</table>"


def _study(whom: str) -> str:
    rows = "".join(f"<tr><td>{name}</td><td>{figure}</td></tr>" for name, figure in STUDY)
    return (
        "<h2>The study's own figures</h2><p>SCLEROCAP AI study (Microvasc Res 2025;157:104753), from its abstract.</p>"
        f"<table><thead><tr><th>model</th><th>figures</th></tr></thead>{rows}</table><p class=warn>{NOT_EQUALS.format(whom=whom)}</p>"
    )


def _calls(ranked: list[str], models: dict) -> str:
    rows = ""
    for name in ranked:
        first = models[name]["first"]
        c, f, s = first["calls"], first["finger_calls"], first["conformal"]
        rows += (
            f"<tr><td>{escape(name)}</td><td>{c['temperature']}</td><td>{c['lower']} / {c['upper']}</td><td>{f['called']:.2f}</td><td>{f['sensitivity']:.2f}</td>"
            f"<td>{f['missed']:.3f}</td><td>{f['false_alarm']:.3f}</td><td>{f['healthy_exams_alarmed']}/{f['healthy_exams']}</td>"
            f"<td>{s['covered_subjects']:.2f}</td><td>{s['one_label']:.2f}</td></tr>"
        )
    return (
        "<h2>Calls by finger</h2><p>Thresholds for the exam's budget of false alarms, from the calibration subjects; shares on the test subjects. Conformal sets aim at nine subjects "
        "in ten with all their fingers right.</p><table><thead><tr><th>model</th><th>temperature</th><th>lower / upper</th><th>called</th><th>sensitivity</th><th>missed</th>"
        f"<th>false alarm</th><th>clean exams with one</th><th>subjects covered</th><th>sets of one</th></tr></thead>{rows}</table>"
    )
