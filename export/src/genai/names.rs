//! Attributes: what each is called by the newest conventions and by older ones.

use coati_core::intern::{self, Id};
use coati_core::record::value::Key;
use serde::{Deserialize, Serialize};

/// Which names leave the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// The newest, for what others have recorded by older ones too.
    Latest,
    /// Those of version 1.36 of the conventions, of metrics those of 1.41.
    Older,
    /// Both.
    Both,
}

/// The newest name, and the one that version 1.36 had, or the last one that an attribute which came
/// later had before its newest.
pub(super) const RENAMED: &[(&str, &str)] = &[
    ("gen_ai.provider.name", "gen_ai.system"),
    ("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
    ("openai.request.service_tier", "gen_ai.openai.request.service_tier"),
    ("openai.response.service_tier", "gen_ai.openai.response.service_tier"),
    ("openai.response.system_fingerprint", "gen_ai.openai.response.system_fingerprint"),
];

/// Names that version 1.36 had given up already: what has them is shown by the newest on request,
/// but nothing is shown by them.
const GIVEN_UP: &[(&str, &str)] = &[
    ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    ("gen_ai.request.seed", "gen_ai.openai.request.seed"),
    ("gen_ai.output.type", "gen_ai.openai.request.response_format"),
];

/// Providers, newest first.
const PROVIDERS: &[(&str, &str)] = &[("x_ai", "xai")];
/// Providers by names given up before version 1.36.
const PROVIDERS_GIVEN_UP: &[(&str, &str)] = &[
    ("azure.ai.inference", "az.ai.inference"),
    ("azure.ai.openai", "az.ai.openai"),
    ("gcp.vertex_ai", "vertex_ai"),
    ("gcp.gemini", "gemini"),
];

pub(super) const PROVIDER: &str = "gen_ai.provider.name";

/// What names become, with the ids that stand for them in records.
#[derive(Debug)]
pub struct Names {
    /// A name as recorded, and as shown in its place.
    replaced: Box<[Pair]>,
    /// A name as recorded, and as shown beside it.
    doubled: Box<[Pair]>,
}

#[derive(Debug)]
struct Pair {
    from: &'static str,
    to: &'static str,
    id: Option<Id>,
}

fn pairs(table: impl Iterator<Item = (&'static str, &'static str)>) -> Box<[Pair]> {
    table.map(|(from, to)| Pair { from, to, id: intern::intern(to) }).collect()
}

fn found(pairs: &[Pair], name: &str) -> Option<Key<'static>> {
    let pair = pairs.iter().find(|pair| pair.from == name)?;
    Some(pair.id.map_or(Key::Text(pair.to), Key::Id))
}

impl Names {
    /// The names that are shown instead of those recorded.
    pub fn new(shown: Shown) -> Self {
        let older = || RENAMED.iter().copied();
        let newest = || RENAMED.iter().chain(GIVEN_UP).map(|&(new, old)| (old, new));
        let (replaced, doubled) = match shown {
            Shown::Latest => (pairs(newest()), pairs([].into_iter())),
            Shown::Older => (pairs(older()), pairs([].into_iter())),
            Shown::Both => {
                let twice = older().chain(RENAMED.iter().map(|&(_, old)| (old, old)));
                (pairs(newest()), pairs(twice))
            }
        };
        Self { replaced, doubled }
    }

    /// What is shown in place of `name`; `None` leaves it.
    pub fn instead(&self, name: &str) -> Option<Key<'static>> {
        found(&self.replaced, name)
    }

    /// What is shown beside `name`.
    pub fn beside(&self, name: &str) -> Option<Key<'static>> {
        found(&self.doubled, name)
    }

    /// The value of `key`, as it is shown: the names of providers have changed, too.
    pub fn value<'a>(&self, key: Key<'_>, text: &'a str) -> &'a str {
        let name = match key {
            Key::Id(id) => intern::text(id).unwrap_or_default(),
            Key::Text(name) => name,
        };
        let (newest, older) = RENAMED[0];
        if name == newest {
            latest_provider(text)
        } else if name == older {
            older_provider(text)
        } else {
            text
        }
    }
}

pub(super) fn latest_provider(name: &str) -> &str {
    let known = PROVIDERS.iter().chain(PROVIDERS_GIVEN_UP).find(|(_, old)| *old == name);
    known.map_or(name, |(new, _)| new)
}

pub(super) fn older_provider(name: &str) -> &str {
    PROVIDERS.iter().find(|(new, _)| *new == name).map_or(name, |(_, old)| old)
}
