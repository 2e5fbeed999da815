//! Owns the identifiers of departments: slugs made of their names.

use super::name_search::without_accent;
use super::{Result, Work};

/// An identifier made of `name`: the plain one when it is free, else with the department's number behind it.
pub(super) async fn free_identifier(work: &mut Work, name: &str, number: i64) -> Result<String> {
    let tenant = work.tenant;
    let plain = identifier_of(name);
    let taken = sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM departments WHERE tenant_id = $1 AND identifier = $2
                        AND deleted_at IS NULL) AS \"taken!\"",
        tenant.0,
        plain
    )
    .fetch_one(work.tx())
    .await?;
    Ok(match (plain.as_str(), taken) {
        ("", _) => format!("department-{number}"),
        (_, true) => format!("{plain}-{number}"),
        (_, false) => plain,
    })
}

/// `Suporte Técnico` becomes `suporte-tecnico`: lower-case letters and digits, a hyphen for whatever else stands between.
fn identifier_of(name: &str) -> String {
    let mut identifier = String::with_capacity(name.len());
    for letter in name.chars().flat_map(char::to_lowercase).map(without_accent) {
        if letter.is_ascii_alphanumeric() {
            identifier.push(letter);
        } else if !identifier.is_empty() && !identifier.ends_with('-') {
            identifier.push('-');
        }
    }
    identifier.truncate(identifier.trim_end_matches('-').len());
    identifier
}

#[cfg(test)]
mod tests {
    use super::identifier_of;

    #[test]
    fn identifiers_are_plain_words_with_hyphens() {
        assert_eq!(identifier_of("Suporte Técnico"), "suporte-tecnico");
        assert_eq!(identifier_of("  Vendas & Pós-venda! "), "vendas-pos-venda");
        assert_eq!(identifier_of("Ações 24h"), "acoes-24h");
        assert_eq!(identifier_of("サポート"), "");
    }
}
