//! Earlier states in questions: `was(date or name, predicate)`, and what a date or name of a request stands for.
//! Knows how an earlier view is asked; where states come from is the provider's matter.

use std::sync::Arc;

use jiff::civil::Date;
use queryparser::ast::{Literal, LiteralValue, Span};
use queryparser::nearest;
use storage::{State, StateError, StateRef, View};

use super::error::{Error, Result};

/// Gives earlier states.
pub trait States: Sync {
    /// The state that a date or name means.
    ///
    /// # Errors
    /// [`StateError`].
    fn state(&self, wanted: &StateRef) -> Result<State, StateError>;
}

/// There are none: of a question that has only its view.
pub struct NoStates;

impl States for NoStates {
    fn state(&self, _: &StateRef) -> Result<State, StateError> {
        Err(StateError::NoneYet)
    }
}

/// A state that a question was told to ask.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Everyone as they were.
    pub view: Arc<View>,
    /// How `was` names it; nothing for the present.
    pub name: Option<Literal>,
    /// Where another day's state is used than was asked for: what to tell.
    pub nearest: Option<String>,
}

/// What is wrong with a state, in words, and a hint.
pub struct Unknown {
    /// For people.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// Opens a state.
///
/// # Errors
/// Inside, what is wrong with the date or name; outside, damage of the store.
pub fn open(states: &dyn States, wanted: &StateRef) -> Result<Result<Asked, Unknown>> {
    let unknown = |message: String, hint: Option<String>| Ok(Err(Unknown { message, hint }));
    let state = match states.state(wanted) {
        Ok(state) => state,
        Err(StateError::Failed(error)) => return Err(Error::Storage(error)),
        Err(StateError::NoneYet) => {
            let message = "there is no earlier state to ask yet: no dated store snapshot is kept".into();
            return unknown(message, Some("one is taken at the end of each day; ask for today, or name one".into()));
        }
        Err(StateError::TooEarly { asked, first }) => {
            let message = format!("there is no state of {asked}: it can be asked from {first} on");
            return unknown(message, Some(format!("ask from DATE '{first}' on")));
        }
        Err(StateError::TooLate { asked, today }) => {
            return unknown(format!("there is no state of {asked} yet: it is {today}"), None);
        }
        Err(StateError::UnknownName { name, names }) => {
            let shown: String = name.chars().take(60).collect();
            let near = nearest(&name, names.iter().map(String::as_str));
            let hint = near.map(|near| format!("did you mean '{near}'?"));
            return unknown(format!("there is no store snapshot named '{shown}'"), hint);
        }
    };
    let nearest = match (wanted, &state.found) {
        (StateRef::Date(asked), Some(StateRef::Date(used))) if used != asked => {
            Some(format!("no state of {asked} is kept; the last one before it, of {used}, was asked"))
        }
        _ => None,
    };
    let name = state.found.as_ref().map(literal_of);
    Ok(Ok(Asked { view: state.view, name, nearest }))
}

/// A state as `was` writes it.
fn literal_of(state: &StateRef) -> Literal {
    let value = match state {
        StateRef::Date(date) => LiteralValue::Date(*date),
        StateRef::Name(name) => LiteralValue::Text(name.clone()),
    };
    Literal { value, span: Span::default() }
}

/// What a request's field means: a date, or a name that is not shaped like one.
pub fn state_of_text(text: &str) -> StateRef {
    match queryparser::parse_date(text) {
        Ok(date) => StateRef::Date(date),
        Err(_) => StateRef::Name(text.into()),
    }
}

/// What a literal of `was` means; relative dates count from the question's day.
pub(crate) fn state_of_literal(value: &LiteralValue, day: impl FnOnce() -> Result<Date>) -> Result<StateRef> {
    Ok(match value {
        LiteralValue::Text(name) => StateRef::Name(name.clone()),
        LiteralValue::Date(date) => StateRef::Date(*date),
        _ => StateRef::Date(day()?),
    })
}
