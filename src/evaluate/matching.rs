//! Which found tip is which labelled one: as many pairs as can be within the limit, and of those the nearest in sum
//! (the assignment problem; Jonker and Volgenant, Computing 1987;38:325).

use super::Point;

/// What a pair beyond the limit costs, in pixels: more than all others together could.
const BEYOND: f64 = 1e4;

/// Pairs of places in `a` and in `b` and their distance.
pub fn pairs(a: &[Point], b: &[Point], limit: f64) -> Vec<(usize, usize, f64)> {
    let distance = |i: usize, j: usize| (a[i][0] - b[j][0]).hypot(a[i][1] - b[j][1]);
    let swapped = a.len() > b.len();
    let cost = |row: usize, column: usize| {
        let far = if swapped { distance(column, row) } else { distance(row, column) };
        if far <= limit { far } else { BEYOND }
    };
    let (rows, columns) = if swapped { (b.len(), a.len()) } else { (a.len(), b.len()) };
    let mut pairs: Vec<(usize, usize, f64)> = assign(rows, columns, &cost)
        .into_iter()
        .enumerate()
        .map(|(row, column)| if swapped { (column, row) } else { (row, column) })
        .map(|(i, j)| (i, j, distance(i, j)))
        .filter(|(_, _, far)| *far <= limit)
        .collect();
    pairs.sort_by_key(|(i, _, _)| *i);
    pairs
}

/// The column of each row at the least cost; there are no more rows than columns. Row by row, each along the
/// shortest path that frees a column, with prices that keep every reduced cost from falling below nought.
fn assign(rows: usize, columns: usize, cost: &dyn Fn(usize, usize) -> f64) -> Vec<usize> {
    // Index 0 stands for "none"; rows and columns count from 1.
    let (mut row_price, mut column_price) = (vec![0.0; rows + 1], vec![0.0; columns + 1]);
    let mut row_of = vec![0usize; columns + 1];
    for row in 1..=rows {
        row_of[0] = row;
        let mut least = vec![f64::INFINITY; columns + 1];
        let mut before = vec![0usize; columns + 1];
        let mut used = vec![false; columns + 1];
        let mut column = 0;
        while row_of[column] != 0 {
            used[column] = true;
            let at = row_of[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for j in (1..=columns).filter(|j| !used[*j]) {
                let reduced = cost(at - 1, j - 1) - row_price[at] - column_price[j];
                if reduced < least[j] {
                    (least[j], before[j]) = (reduced, column);
                }
                if least[j] < step {
                    (step, next) = (least[j], j);
                }
            }
            for j in 0..=columns {
                if used[j] {
                    row_price[row_of[j]] += step;
                    column_price[j] -= step;
                } else {
                    least[j] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[before[column]];
            column = before[column];
        }
    }
    let mut column_of = vec![0; rows];
    for (column, row) in row_of.iter().enumerate().skip(1).filter(|(_, row)| **row != 0) {
        column_of[row - 1] = column - 1;
    }
    column_of
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_many_pairs_as_can_be_and_not_the_nearest_first() {
        // The nearest pair (10 to 8) would leave the other two 18 apart.
        let a = [[0.0, 0.0], [10.0, 0.0]];
        let b = [[8.0, 0.0], [18.0, 0.0]];
        assert_eq!(pairs(&a, &b, 9.0), [(0, 0, 8.0), (1, 1, 8.0)]);
        assert_eq!(pairs(&a, &b, 5.0), [(1, 0, 2.0)]);
        assert!(pairs(&a, &b, 1.0).is_empty() && pairs(&[], &b, 9.0).is_empty() && pairs(&a, &[], 9.0).is_empty());
    }

    /// The least cost over every way to give each row a column.
    fn least(rows: &[Vec<f64>], used: &mut Vec<bool>) -> f64 {
        let Some((first, rest)) = rows.split_first() else { return 0.0 };
        let mut best = f64::INFINITY;
        for j in 0..used.len() {
            if !used[j] {
                used[j] = true;
                best = best.min(first[j] + least(rest, used));
                used[j] = false;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn no_other_assignment_costs_less(rows in 1usize..5, more in 0usize..3, seed in proptest::collection::vec(0.0f64..100.0, 28)) {
            let columns = rows + more;
            let cost: Vec<Vec<f64>> = (0..rows).map(|i| seed[i * columns..][..columns].to_vec()).collect();
            let found = assign(rows, columns, &|i, j| cost[i][j]);
            let mut distinct = found.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), rows);
            let sum: f64 = found.iter().enumerate().map(|(i, j)| cost[i][*j]).sum();
            prop_assert!((sum - least(&cost, &mut vec![false; columns])).abs() < 1e-9);
        }
    }
}
