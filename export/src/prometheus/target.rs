//! `target_info`: the resource as labels.

use serde_json::Value;

use super::names::label_name;

/// What the metrics belong to.
#[derive(Clone, Debug)]
pub struct Target(pub(super) Box<[(String, String)]>);

impl Target {
    /// The resource with these attributes. Those whose names become the same are one label with
    /// the values joined by `;`.
    pub fn new<'a>(attributes: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Self {
        let mut labels: Vec<(String, String)> = Vec::new();
        for (name, value) in attributes {
            let name = label_name(name, false);
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            match labels.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = format!("{known};{text}"),
                None => labels.push((name, text)),
            }
        }
        Self(labels.into())
    }
}
