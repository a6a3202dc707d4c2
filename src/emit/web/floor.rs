//! Who holds control. One operator at a time; another sees who it is and may take over, which all viewers see.

use std::net::IpAddr;

use serde::Serialize;
use tokio::sync::watch;

/// Longest name of an operator, in characters.
const LONGEST_NAME: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::emit) struct Holder {
    pub session: u64,
    pub name: String,
    pub from: IpAddr,
}

/// The one place at the controls.
#[derive(Debug)]
pub(in crate::emit) struct Floor(watch::Sender<Option<Holder>>);

impl Default for Floor {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

/// Somebody else holds control, and was not to be replaced.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::emit) struct Held(pub Holder);

impl Floor {
    pub fn watch(&self) -> watch::Receiver<Option<Holder>> {
        self.0.subscribe()
    }

    pub fn holder(&self) -> Option<Holder> {
        self.0.borrow().clone()
    }

    /// `over`: also from somebody else, whom it then replaces.
    pub fn take(&self, holder: Holder, over: bool) -> Result<(), Held> {
        let mut held = None;
        self.0.send_if_modified(|now| match now {
            Some(other) if other.session != holder.session && !over => {
                held = Some(Held(other.clone()));
                false
            }
            _ if now.as_ref() == Some(&holder) => false,
            _ => {
                *now = Some(holder);
                true
            }
        });
        held.map_or(Ok(()), Err)
    }

    /// Does nothing unless this session holds control.
    pub fn leave(&self, session: u64) {
        self.0.send_if_modified(|now| now.take_if(|holder| holder.session == session).is_some());
    }
}

/// What may stand for an operator on the record: one short line.
pub(super) fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=LONGEST_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(session: u64, name: &str) -> Holder {
        Holder { session, name: name.to_owned(), from: [127, 0, 0, 1].into() }
    }

    #[test]
    fn one_holds_control_and_another_takes_over_only_when_told_to() {
        let floor = Floor::default();
        let (first, second) = (holder(1, "Dr A"), holder(2, "Dr B"));
        floor.take(first.clone(), false).unwrap();
        assert_eq!(floor.take(second.clone(), false), Err(Held(first.clone())));
        assert_eq!(floor.holder(), Some(first));
        let mut watch = floor.watch();
        floor.take(second.clone(), true).unwrap();
        assert!(watch.has_changed().unwrap());
        floor.leave(1);
        assert_eq!(watch.borrow_and_update().clone(), Some(second));
        floor.leave(2);
        assert_eq!(floor.holder(), None);
    }

    #[test]
    fn an_operators_name_is_one_short_line() {
        assert_eq!(name("  Dr A "), Some("Dr A".to_owned()));
        for bad in ["", "  ", "a\nb", &"x".repeat(41)] {
            assert_eq!(name(bad), None, "{bad:?}");
        }
    }
}
