//! A table, for a terminal or in Markdown.

/// Rows of cells; the first column names them.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    /// Sentences below it.
    pub(crate) notes: Vec<String>,
}

impl Table {
    /// Columns as wide as their widest cell. A column without any cell is left out.
    pub(crate) fn text(&self) -> String {
        let table = self.without_empty_columns();
        let lines = || std::iter::once(&table.head).chain(&table.rows);
        let width = |column: usize| lines().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
        let widths: Vec<_> = (0..table.head.len()).map(|column| width(column).unwrap_or(0)).collect();
        let mut out = format!("{}\n", self.title);
        for row in lines() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}  "));
            out += &format!("  {}\n", cells.collect::<String>().trim_end());
        }
        for note in &self.notes {
            out += &format!("  {note}\n");
        }
        out
    }

    pub(crate) fn markdown(&self) -> String {
        let table = self.without_empty_columns();
        let line = |row: &Vec<String>| {
            let cells = row.iter().map(|cell| format!(" {} |", cell.replace('|', "\\|").replace('<', "&lt;")));
            format!("|{}\n", cells.collect::<String>())
        };
        let mut out = format!("{}\n\n{}|{}\n", self.title, line(&table.head), "---|".repeat(table.head.len()));
        out.extend(table.rows.iter().map(line));
        for note in &self.notes {
            out += &format!("\n{note}\n");
        }
        out
    }

    /// Rows for columns.
    pub(crate) fn transposed(&self) -> Self {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let column = |column: usize| lines().map(move |row| row.get(column).cloned().unwrap_or_default());
        let mut columns = (0..self.head.len()).map(|index| column(index).collect());
        Self { head: columns.next().unwrap_or_default(), rows: columns.collect(), ..self.clone() }
    }

    fn without_empty_columns(&self) -> Self {
        let is_used = |column: usize| self.rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.is_empty()));
        let used: Vec<_> = (0..self.head.len()).filter(|column| is_used(*column)).collect();
        let cells =
            |row: &Vec<String>| used.iter().map(|column| row.get(*column).cloned().unwrap_or_default()).collect();
        Self { head: cells(&self.head), rows: self.rows.iter().map(cells).collect(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let cells = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        Table {
            title: "Title".into(),
            head: cells(["case", "nobody", "a|b"]),
            rows: vec![cells(["one", "", "1.0"]), cells(["two three", "", "p < 1"])],
            notes: vec!["Note.".into()],
        }
    }

    #[test]
    fn text_aligns_columns_and_leaves_out_empty_ones() {
        assert_eq!(table().text(), "Title\n  case       a|b\n  one        1.0\n  two three  p < 1\n  Note.\n");
    }

    #[test]
    fn transposing_twice_changes_nothing() {
        let transposed = table().transposed();
        assert_eq!(transposed.head, ["case", "one", "two three"]);
        assert_eq!(transposed.rows[1], ["a|b", "1.0", "p < 1"]);
        assert_eq!(transposed.transposed().text(), table().text());
    }

    #[test]
    fn markdown_escapes_what_would_end_a_cell() {
        let expected = "Title\n\n| case | a\\|b |\n|---|---|\n| one | 1.0 |\n| two three | p &lt; 1 |\n\nNote.\n";
        assert_eq!(table().markdown(), expected);
    }
}
