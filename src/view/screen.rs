//! The terminal itself: taken at the start, given back at the end, also after a panic.

use std::io;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use super::Scene;

/// A terminal in full-screen mode. Dropping it gives the terminal back.
#[derive(Debug)]
pub struct Screen(DefaultTerminal);

impl Screen {
    /// Also installs a panic hook that gives the terminal back before the panic is told.
    pub fn open() -> io::Result<Self> {
        // A failure half-way must not leave the terminal in raw mode.
        ratatui::try_init().map(Self).inspect_err(|_| ratatui::restore())
    }

    pub fn draw(&mut self, scene: &Scene<'_>) -> io::Result<()> {
        self.0.draw(|frame| super::draw(frame, scene)).map(|_| ())
    }

    /// Waits so long for the operator. q, Escape and Ctrl-C ask to leave.
    pub fn asked(&self, patience: Duration) -> io::Result<Asked> {
        if !event::poll(patience)? {
            return Ok(Asked::Nothing);
        }
        Ok(match event::read()? {
            Event::Resize(..) => Asked::Redraw,
            Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
                KeyCode::Char('q' | 'Q') | KeyCode::Esc => Asked::Quit,
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Asked::Quit,
                _ => Asked::Nothing,
            },
            _ => Asked::Nothing,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Nothing,
    /// The terminal has another size now.
    Redraw,
    Quit,
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
