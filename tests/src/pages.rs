//! The commands of the documentation's pages: what a reader types, taken out of the blocks of code marked `console`.
//!
//! In such a block a line that begins with `$ ` is a command. A backslash at its end continues it on the next line, and so does a here
//! document (`<<EOF`) until its last line. All other lines are what the command prints. A block marked `console,not-run` cannot run in a
//! test, for example since it needs a cloud of the reader's; it is found all the same, so that nothing is left out unseen.

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

/// The mark of a block of commands.
const CONSOLE: &str = "console";
/// Beside it: the commands of the block cannot run in a test.
const NOT_RUN: &str = "not-run";

/// A block of commands on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The page, as the caller calls it.
    pub page: String,
    /// The line of the page on which the block's first line stands, from 1.
    pub line: usize,
    /// Whether a test can run it: it is marked `console` and nothing else.
    pub runs: bool,
    /// The commands for a shell, in their order, without the `$ `.
    pub commands: Vec<String>,
}

/// The blocks of commands of a page that has this text, in their order; or what is wrong with one.
pub fn blocks(page: &str, text: &str) -> Result<Vec<Block>, String> {
    let mut found = Vec::new();
    let mut open: Option<(Block, String)> = None;
    for (event, range) in Parser::new(text).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(mark))) => {
                let line = 2 + text[..range.start].matches('\n').count();
                let Some(runs) = runs(&mark).map_err(|e| format!("{page}:{}: {e}", line - 1))? else { continue };
                open = Some((Block { page: page.to_owned(), line, runs, commands: Vec::new() }, String::new()));
            }
            Event::Text(part) => open.iter_mut().for_each(|(_, code)| code.push_str(&part)),
            Event::End(TagEnd::CodeBlock) => {
                if let Some((mut block, code)) = open.take() {
                    block.commands = commands(&code).map_err(|e| format!("{page}:{}: {e}", block.line))?;
                    found.push(block);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Whether a block with this mark runs; none where it has no commands.
fn runs(mark: &str) -> Result<Option<bool>, String> {
    let words: Vec<&str> = mark.split(',').map(str::trim).collect();
    match words.as_slice() {
        [CONSOLE] => Ok(Some(true)),
        [CONSOLE, NOT_RUN] => Ok(Some(false)),
        [CONSOLE, ..] => Err(format!("a block is marked `{CONSOLE}` or `{CONSOLE},{NOT_RUN}`, not `{mark}`")),
        _ => Ok(None),
    }
}

fn commands(code: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix("$ ") else { continue };
        let mut command = first.to_owned();
        while command.ends_with('\\') {
            let next = lines.next().ok_or_else(|| format!("nothing follows the backslash of {first:?}"))?;
            command = format!("{command}\n{next}");
        }
        if let Some(end) = here_document(&command) {
            loop {
                let next = lines.next().ok_or_else(|| format!("the here document of {first:?} has no end {end:?}"))?;
                command = format!("{command}\n{next}");
                if next == end {
                    break;
                }
            }
        }
        found.push(command);
    }
    if found.is_empty() {
        Err("the block has no command: none of its lines begins with `$ `".to_owned())
    } else {
        Ok(found)
    }
}

/// The word that ends the here document which the command begins.
fn here_document(command: &str) -> Option<String> {
    let (_, word) = command.split_once("<<")?;
    let word: String = word.trim_start_matches(['\'', '"']).chars().take_while(char::is_ascii_alphanumeric).collect();
    Some(word).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_taken_with_what_continues_them_and_output_is_left() {
        let text = "# A page\n\n```console\n$ kubectl get pods\nNAME  READY\n$ helm install it \\\n    --set a=b\n```\n\n\
            * in a list:\n\n  ```console,not-run\n  $ openstack server list\n  ```\n\n```yaml\n$ not: this\n```\n";
        let block = |line, runs, commands: &[&str]| Block {
            page: "a.md".to_owned(),
            line,
            runs,
            commands: commands.iter().map(|c| (*c).to_owned()).collect(),
        };
        let expected = [
            block(4, true, &["kubectl get pods", "helm install it \\\n    --set a=b"]),
            block(13, false, &["openstack server list"]),
        ];
        assert_eq!(blocks("a.md", text).unwrap(), expected);
    }

    #[test]
    fn a_here_document_belongs_to_its_command() {
        let text = "```console\n$ kubectl apply --filename - <<'EOF'\nkind: Site\n$ no command\nEOF\nsite created\n$ true\n```\n";
        let found = blocks("a.md", text).unwrap();
        assert_eq!(found[0].commands, ["kubectl apply --filename - <<'EOF'\nkind: Site\n$ no command\nEOF", "true"]);
    }

    #[test]
    fn a_block_that_would_be_left_out_unseen_is_refused() {
        let refused = |text: &str| blocks("a.md", text).unwrap_err();
        assert!(refused("\n```console,norun\n$ true\n```\n").contains("a.md:2: a block is marked"));
        assert!(refused("```console\nkubectl get pods\n```\n").contains("a.md:2: the block has no command"));
        assert!(refused("```console\n$ helm install \\\n```\n").contains("nothing follows"));
        assert!(refused("```console\n$ cat <<EOF\nhalf\n```\n").contains("has no end \"EOF\""));
    }
}
