//! [`NonEmpty`]: a list where the grammar wants one thing at least.

use core::ops::Deref;

/// One or more values, in the order in which they are written.
///
/// ```
/// use imap_proto::types::NonEmpty;
///
/// let keys = NonEmpty::new(vec![1, 2]).unwrap();
/// assert_eq!(keys.len(), 2);
/// assert_eq!(NonEmpty::<u8>::new(Vec::new()), None);
/// assert_eq!(*NonEmpty::one(7), [7]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NonEmpty<T>(Vec<T>);

impl<T> NonEmpty<T> {
    /// Takes the values; `None` if there are none.
    #[inline]
    pub fn new(values: Vec<T>) -> Option<Self> {
        if values.is_empty() { None } else { Some(Self(values)) }
    }

    /// One value.
    pub fn one(value: T) -> Self {
        Self(vec![value])
    }

    /// The values.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T> Deref for NonEmpty<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> IntoIterator for NonEmpty<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a NonEmpty<T> {
    type Item = &'a T;
    type IntoIter = core::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}
