//! Earlier exams, for those who may look on: the list, one exam's lines and report, and its kept frames.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use super::House;
use crate::finger::Finger;
use crate::frame::FrameId;
use crate::measured::{Correction, Measured};

/// One exam of the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listed {
    pub exam: String,
    /// Absent where its first line cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<jiff::Timestamp>,
    /// Its report is written.
    pub closed: bool,
    /// The summary's counts; absent while there is no report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counts: Option<String>,
}

/// One exam as its record tells it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    pub exam: String,
    /// What is wrong with the record; absent where it holds what was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damaged: Option<String>,
    /// Its lines but for single frames' findings, measurements and verdicts of the gate.
    pub lines: Vec<serde_json::Value>,
    /// What readers added after its close.
    pub amendments: Vec<serde_json::Value>,
    /// What they corrected and what that comes to; null where the record does not hold what was written.
    pub reread: serde_json::Value,
}

/// The frame of a field on which loops can be corrected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Loops {
    pub frame: FrameId,
    pub corrections: usize,
    /// As they were measured.
    pub measured: Measured,
    /// As readers have corrected them so far.
    pub corrected: Measured,
}

/// One correction that somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub exam: String,
    pub finger: Finger,
    pub field: u32,
    /// The one that was looked at.
    pub frame: FrameId,
    pub correction: Correction,
}

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("there is no such exam, or no such frame of it")]
    NotFound,
    #[error("{0}")]
    Unreadable(String),
    /// It can be read, and what was asked for cannot be done to it.
    #[error("{0}")]
    Refused(String),
}

/// Where earlier exams are read. Called on threads that may wait for a disk.
pub trait Archive: Send + Sync {
    /// Newest first.
    fn list(&self) -> Result<Vec<Listed>, ArchiveError>;
    fn exam(&self, exam: &str) -> Result<Told, ArchiveError>;
    /// A kept frame and its media type.
    fn keyframe(&self, exam: &str, file: &str) -> Result<(Vec<u8>, &'static str), ArchiveError>;
    /// The exam's report as a page that stands alone, in a language of the page.
    fn report(&self, exam: &str, language: &str) -> Result<String, ArchiveError>;
    fn loops(&self, exam: &str, finger: Finger, field: u32) -> Result<Loops, ArchiveError>;
    /// The frame of those loops, as any browser shows it, and its media type.
    fn picture(&self, exam: &str, finger: Finger, field: u32) -> Result<(Vec<u8>, &'static str), ArchiveError>;
    /// Puts a reader's correction on record, as an amendment in this name.
    fn correct(&self, asked: &Asked, by: &str) -> Result<(), ArchiveError>;
}

impl IntoResponse for ArchiveError {
    fn into_response(self) -> Response {
        let code = match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Refused(_) => StatusCode::CONFLICT,
        };
        (code, format!("{self}\n")).into_response()
    }
}

pub(super) fn routes() -> Router<Arc<House>> {
    Router::new()
        .route("/exams", get(list))
        .route("/exams/{exam}", get(exam))
        .route("/exams/{exam}/keyframes/{file}", get(keyframe))
        .route("/exams/{exam}/report/{language}", get(report))
        .route("/exams/{exam}/loops/{finger}/{field}", get(loops))
        .route("/exams/{exam}/loops/{finger}/{field}/picture", get(picture))
}

type Kept = ([(HeaderName, &'static str); 1], Vec<u8>);

async fn list(State(house): State<Arc<House>>) -> Result<axum::Json<Vec<Listed>>, ArchiveError> {
    read(&house, |archive| archive.list()).await.map(axum::Json)
}

async fn exam(State(house): State<Arc<House>>, Path(exam): Path<String>) -> Result<axum::Json<Told>, ArchiveError> {
    read(&house, move |archive| archive.exam(&exam)).await.map(axum::Json)
}

async fn keyframe(
    State(house): State<Arc<House>>,
    Path((exam, file)): Path<(String, String)>,
) -> Result<Kept, ArchiveError> {
    let (bytes, media) = read(&house, move |archive| archive.keyframe(&exam, &file)).await?;
    Ok(([(CONTENT_TYPE, media)], bytes))
}

/// To be saved and opened by itself: it brings its own style, which the page's rules would not let it use here.
async fn report(
    State(house): State<Arc<House>>,
    Path((exam, language)): Path<(String, String)>,
) -> Result<([(HeaderName, &'static str); 2], String), ArchiveError> {
    let html = read(&house, move |archive| archive.report(&exam, &language)).await?;
    Ok(([(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_DISPOSITION, "attachment")], html))
}

async fn loops(
    State(house): State<Arc<House>>,
    Path((exam, finger, field)): Path<(String, Finger, u32)>,
) -> Result<axum::Json<Loops>, ArchiveError> {
    read(&house, move |archive| archive.loops(&exam, finger, field)).await.map(axum::Json)
}

async fn picture(
    State(house): State<Arc<House>>,
    Path((exam, finger, field)): Path<(String, Finger, u32)>,
) -> Result<Kept, ArchiveError> {
    let (bytes, media) = read(&house, move |archive| archive.picture(&exam, finger, field)).await?;
    Ok(([(CONTENT_TYPE, media)], bytes))
}

/// Off the network's thread: a disk may let one wait.
pub(super) async fn read<T: Send + 'static>(
    house: &House,
    work: impl FnOnce(&dyn Archive) -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    let Some(archive) = house.wires.archive.clone() else { return Err(ArchiveError::NotFound) };
    let read = tokio::task::spawn_blocking(move || work(archive.as_ref()));
    read.await.unwrap_or_else(|e| Err(ArchiveError::Unreadable(format!("the record could not be read: {e}"))))
}
