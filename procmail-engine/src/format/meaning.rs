//! Whether two rc files are the same but for their layout.

use crate::syntax::{Action, Item, Lock, Rc, Recipe, RecipeLine, same_words};

/// Whether two rc files do the same to every mail: their items are the same but for comments, blanks between words, and
/// where they stand.
///
/// ```
/// use procmail_engine::format::same_meaning;
/// use procmail_engine::syntax::Rc;
///
/// let rc = |source: &str| Rc::parse(source.as_bytes().to_vec());
/// assert!(same_meaning(&rc(":0c:\n* a\nbox\n"), &rc("# copies\n:0 c :\n*a\n  box\n")));
/// assert!(!same_meaning(&rc(":0\nbox\n"), &rc(":0:\nbox\n")));
/// ```
pub fn same_meaning(one: &Rc, other: &Rc) -> bool {
    let meant = |rc: &'_ Rc| -> Vec<usize> {
        let items = rc.items().iter().enumerate();
        items.filter(|(_, item)| !matches!(item, Item::Comment(_))).map(|(number, _)| number).collect()
    };
    let (mine, theirs) = (meant(one), meant(other));
    mine.len() == theirs.len()
        && mine.iter().zip(&theirs).all(|(&mine, &theirs)| same_item(one, mine, other, theirs))
}

fn same_item(one: &Rc, mine: usize, other: &Rc, theirs: usize) -> bool {
    match (&one.items()[mine], &other.items()[theirs]) {
        (Item::Assignment(mine), Item::Assignment(theirs)) => {
            mine.name == theirs.name && same_words(&mine.value, &theirs.value)
        }
        (Item::Removal { name: mine, .. }, Item::Removal { name: theirs, .. }) => mine == theirs,
        (Item::Recipe(mine), Item::Recipe(theirs)) => same_recipe(one, mine, other, theirs),
        (Item::Skipped(mine), Item::Skipped(theirs)) => one.text(*mine) == other.text(*theirs),
        (Item::Close(_), Item::Close(_))
        | (Item::UnexpectedClose(_), Item::UnexpectedClose(_))
        | (Item::MissingClose(_), Item::MissingClose(_)) => true,
        _ => false,
    }
}

fn same_recipe(one: &Rc, mine: &Recipe, other: &Rc, theirs: &Recipe) -> bool {
    let conditions = mine.conditions.iter().zip(&theirs.conditions);
    mine.conditions.len() == theirs.conditions.len()
        && conditions.into_iter().all(|(mine, theirs)| mine.text == theirs.text)
        && same_action(&mine.action, &theirs.action)
        && same_line(one, mine, other, theirs)
}

fn same_line(one: &Rc, mine: &Recipe, other: &Rc, theirs: &Recipe) -> bool {
    let (first, second) = (RecipeLine::read(one.source(), mine), RecipeLine::read(other.source(), theirs));
    let written_out = |line: &RecipeLine| !line.opaque && line.rest.is_none();
    if !written_out(&first) || !written_out(&second) {
        return same_words(&mine.head, &theirs.head);
    }
    let flags = first.flags.iter().zip(&second.flags);
    let locks = match (&first.lock, &second.lock) {
        (None, None) => true,
        (Some(Lock { name: mine, .. }), Some(Lock { name: theirs, .. })) => match (mine, theirs) {
            (None, None) => true,
            (Some(mine), Some(theirs)) => same_words(mine, theirs),
            _ => false,
        },
        _ => false,
    };
    locks
        && first.flags.len() == second.flags.len()
        && flags.into_iter().all(|((mine, _), (theirs, _))| mine == theirs)
        && first.number.map(|span| one.text(span)) == second.number.map(|span| other.text(span))
}

fn same_action(mine: &Action, theirs: &Action) -> bool {
    match (mine, theirs) {
        // Where a block ends follows from the items in it.
        (Action::Block { .. }, Action::Block { .. }) => true,
        (Action::Folders(mine), Action::Folders(theirs)) => same_words(mine, theirs),
        (
            Action::Forward { capture: mine, arguments: words },
            Action::Forward { capture: theirs, arguments: others },
        ) => mine == theirs && same_words(words, others),
        (
            Action::Pipe { capture: mine, command, .. },
            Action::Pipe { capture: theirs, command: other, .. },
        ) => mine == theirs && command == other,
        (Action::Missing, Action::Missing) | (Action::Incomplete, Action::Incomplete) => true,
        _ => false,
    }
}
