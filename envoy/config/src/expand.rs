//! `${VAR}` and `${VAR:default}` in the text values of a file; `$$` is a dollar sign.

/// What the environment says about a variable.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands `text`. `Ok(None)` when there is nothing to expand. Without a default a variable must be set, and not to nothing.
/// The default stands in for a variable that is not set; one that is set to nothing expands to nothing then. Expanded text
/// is not expanded again.
pub(crate) fn expand(text: &str, lookup: Lookup<'_>) -> Result<Option<String>, String> {
    if !text.contains('$') {
        return Ok(None);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(tail) = after.strip_prefix('{') {
            let (reference, tail) =
                tail.split_once('}').ok_or_else(|| "'${' without '}'; write '$$' for a dollar sign".to_owned())?;
            out.push_str(&value_of(reference, lookup)?);
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(Some(out))
}

fn value_of(reference: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let (name, default) = match reference.split_once(':') {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!(
            "'${{{reference}}}' is not a variable; write ${{NAME}}, ${{NAME:default}}, or '$$' for a dollar sign"
        ));
    }
    match (lookup(name), default) {
        (Some(value), None) if value.is_empty() => {
            Err(format!("environment variable '{name}' is empty; set it, or write ${{{name}:}} if it may be empty"))
        }
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!("environment variable '{name}' is not set; set it or write ${{{name}:default}}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<Option<String>, String> {
        expand(text, &|name| match name {
            "HOST" => Some("broker".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn text_without_a_dollar_sign_is_left_alone() {
        assert_eq!(expanded("plain"), Ok(None));
    }

    #[test]
    fn variables_defaults_and_escapes_expand() {
        for (text, wanted) in [
            ("${HOST}:9092", "broker:9092"),
            ("${HOST:other}", "broker"),
            ("${PORT:9092}", "9092"),
            ("${URL:http://a:1}", "http://a:1"),
            ("${PORT:}", ""),
            ("${EMPTY:default}", ""),
            ("${NESTED}", "${HOST}"),
            ("$${HOST} costs $5$", "${HOST} costs $5$"),
        ] {
            assert_eq!(expanded(text), Ok(Some(wanted.to_owned())), "{text}");
        }
    }

    #[test]
    fn an_unset_variable_is_named() {
        assert_eq!(
            expanded("${PORT}"),
            Err("environment variable 'PORT' is not set; set it or write ${PORT:default}".to_owned())
        );
    }

    #[test]
    fn an_empty_variable_is_refused_where_it_is_required() {
        assert_eq!(
            expanded("a${EMPTY}b"),
            Err("environment variable 'EMPTY' is empty; set it, or write ${EMPTY:} if it may be empty".to_owned())
        );
        assert_eq!(expanded("a${EMPTY:}b"), Ok(Some("ab".to_owned())));
    }

    #[test]
    fn broken_references_are_refused() {
        assert!(expanded("${HOST").is_err());
        assert!(expanded("${}").is_err());
        assert!(expanded("${1A}").is_err());
        assert!(expanded("${A-b}").is_err());
    }
}
