//! How far names are from each other.

/// How many letters have to be put in, left out, changed or swapped with their neighbour to make one name the other.
pub(super) fn distance(one: &[u8], other: &[u8]) -> usize {
    let width = other.len() + 1;
    let mut before = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for (row, &mine) in one.iter().enumerate() {
        let mut line = vec![row + 1; width];
        for (column, &theirs) in other.iter().enumerate() {
            let changed = last[column] + usize::from(mine != theirs);
            let mut least = changed.min(last[column + 1] + 1).min(line[column] + 1);
            let swapped = row > 0 && column > 0 && mine == other[column - 1] && one[row - 1] == theirs;
            if swapped {
                least = least.min(before[column - 1] + 1);
            }
            line[column + 1] = least;
        }
        before = std::mem::replace(&mut last, line);
    }
    last[width - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_count_as_one() {
        for (one, other, expected) in [
            ("MAILDIR", "MAILDIR", 0),
            ("MAILDR", "MAILDIR", 1),
            ("MIALDIR", "MAILDIR", 1),
            ("DEAMON", "DAEMON", 1),
            ("LOGFILES", "LOGFILE", 1),
            ("HOME", "HOST", 2),
            ("", "AB", 2),
        ] {
            assert_eq!(distance(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
        }
    }
}
