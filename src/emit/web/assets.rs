//! The page's own files, part of the program, and the headers that keep everything else out of it.

use axum::Router;
use axum::extract::Request;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_FRAME_OPTIONS};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Nothing but the page's own files and its socket; no script or style inside the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";

macro_rules! asset {
    ($path:literal, $media:expr, $file:literal) => {
        ($path, $media, include_bytes!(concat!("assets/", $file)))
    };
}

const FILES: &[(&str, &str, &[u8])] = &[
    asset!("/", HTML, "index.html"),
    asset!("/page.css", CSS, "page.css"),
    asset!("/words.json", JSON, "words.json"),
    asset!("/icon.svg", SVG, "icon.svg"),
    asset!("/page.js", JS, "page.js"),
    asset!("/link.js", JS, "link.js"),
    asset!("/picture.js", JS, "picture.js"),
    asset!("/pixels.js", JS, "pixels.js"),
    asset!("/overlay.js", JS, "overlay.js"),
    asset!("/hands.js", JS, "hands.js"),
    asset!("/reading.js", JS, "reading.js"),
    asset!("/conduct.js", JS, "conduct.js"),
    asset!("/setup.js", JS, "setup.js"),
    asset!("/health.js", JS, "health.js"),
    asset!("/archive.js", JS, "archive.js"),
    asset!("/correct.js", JS, "correct.js"),
    asset!("/words.js", JS, "words.js"),
    asset!("/dom.js", JS, "dom.js"),
];

pub(super) fn routes() -> Router {
    FILES.iter().fold(Router::new(), |router, (path, _, _)| router.route(path, axum::routing::get(file)))
}

async fn file(uri: Uri) -> Response {
    match FILES.iter().find(|(path, _, _)| *path == uri.path()) {
        Some((_, media, bytes)) => ([(CONTENT_TYPE, *media)], *bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The headers of every answer of the page.
pub(super) async fn secured(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_holds_an_inline_script_or_style_or_an_address_elsewhere() {
        for (path, media, bytes) in FILES {
            let text = std::str::from_utf8(bytes).unwrap();
            for outside in ["http://", "https://", "//cdn", "@import"] {
                let known = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!known.contains(outside), "{path} names {outside}");
            }
            if *media == HTML {
                for inline in ["<style", " style=", " onclick=", "javascript:"] {
                    assert!(!text.contains(inline), "{path} holds {inline}");
                }
                let scripts = text.matches("<script").count();
                assert_eq!(text.matches("<script type=\"module\" src=\"/").count(), scripts, "{path}");
            }
            if *media == JS {
                for unsafe_word in ["innerHTML", "eval(", "document.write", "insertAdjacentHTML"] {
                    assert!(!text.contains(unsafe_word), "{path} uses {unsafe_word}");
                }
            }
        }
    }

    #[test]
    fn every_language_has_every_word() {
        let words = FILES.iter().find(|(path, _, _)| *path == "/words.json").unwrap().2;
        let words: std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>> =
            serde_json::from_slice(words).unwrap();
        let english = &words["en"];
        assert_eq!(words.keys().map(String::as_str).collect::<Vec<_>>(), ["en", "fr", "zh"]);
        for (language, table) in &words {
            for (key, word) in english {
                let found = table.get(key).unwrap_or_else(|| panic!("{language} has no {key}"));
                let holes = |text: &str| {
                    let mut holes: Vec<String> =
                        text.split('{').skip(1).map(|h| h.split('}').next().unwrap().into()).collect();
                    holes.sort();
                    holes
                };
                assert_eq!(holes(found), holes(word), "{language} {key}");
            }
            assert_eq!(table.len(), english.len(), "{language} has words that English has not");
        }
    }

    #[test]
    fn every_code_that_the_page_may_meet_has_words() {
        use crate::report::{Abstain, FaultKind, FieldDoubt};
        let words = FILES.iter().find(|(path, _, _)| *path == "/words.json").unwrap().2;
        let words: serde_json::Value = serde_json::from_slice(words).unwrap();
        let named = |value: serde_json::Value| value.as_str().unwrap().to_owned();
        let mut keys: Vec<String> = Vec::new();
        for why in [
            Abstain::NothingReadable,
            Abstain::TooFewFields,
            Abstain::NotConfirmed,
            Abstain::BetweenThresholds,
            Abstain::Unstable,
            Abstain::OutOfCohort,
            Abstain::Contradiction,
        ] {
            keys.push(format!("abstain.{}", named(serde_json::to_value(why).unwrap())));
        }
        for why in [
            FieldDoubt::NothingReadable,
            FieldDoubt::TooFewFrames,
            FieldDoubt::TooShort,
            FieldDoubt::Unstable,
            FieldDoubt::BetweenThresholds,
            FieldDoubt::OutOfCohort,
            FieldDoubt::Contradiction,
        ] {
            keys.push(format!("doubt.{}", named(serde_json::to_value(why).unwrap())));
        }
        for kind in [
            FaultKind::Source,
            FaultKind::Record,
            FaultKind::Disk,
            FaultKind::Output,
            FaultKind::Inference,
            FaultKind::Provider,
            FaultKind::Remote,
            FaultKind::SecondOpinion,
            FaultKind::Internal,
        ] {
            keys.push(format!("fault.{}", named(serde_json::to_value(kind).unwrap())));
        }
        use crate::outcome::RejectReason as R;
        for reason in [
            R::Frozen,
            R::Underexposed,
            R::Overexposed,
            R::Glare,
            R::Motion,
            R::Defocus,
            R::NoNailfold,
            R::Magnification,
            R::NoScale,
            R::LoopsUnmeasured,
        ] {
            keys.push(format!("advice.{}", named(serde_json::to_value(reason).unwrap())));
        }
        for key in keys {
            assert!(words["en"][&key].is_string(), "words.json has no {key}");
        }
    }
}
