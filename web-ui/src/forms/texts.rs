//! Prompts as they are typed: one a line.

use dfa_core::wire::service::LimitsView;

/// The prompts of a text with one a line; lines with nothing in them are none.
pub fn prompts(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

/// The same prompts as a text. What breaks a line within a prompt becomes a space, as it
/// does for the model's tokenizer.
pub fn as_lines(prompts: &[String]) -> String {
    let one_line = |prompt: &String| prompt.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = prompts.iter().map(one_line).collect();
    lines.join("\n")
}

/// The prompts of a text, if a worker takes them.
///
/// # Errors
/// What to do, if there are too many or one is too long.
pub fn checked_prompts(text: &str, limits: &LimitsView) -> Result<Vec<String>, String> {
    let prompts = prompts(text);
    let most = limits.max_images as usize;
    if prompts.len() > most {
        return Err(format!("Give at most {most} prompts, one a line."));
    }
    for (index, prompt) in prompts.iter().enumerate() {
        checked_text(prompt, limits).map_err(|words| format!("Prompt {}: {words}", index + 1))?;
    }
    Ok(prompts)
}

/// A text, if it is not too long.
///
/// # Errors
/// How long it may be.
pub fn checked_text(text: &str, limits: &LimitsView) -> Result<(), String> {
    let most = limits.max_prompt_chars as usize;
    if text.chars().count() <= most {
        return Ok(());
    }
    Err(format!("Give at most {most} characters."))
}

/// The beginning of a text, for a line of words: `A brown dog runs…`.
pub fn beginning(text: &str) -> String {
    /// Characters that are shown.
    const MOST: usize = 40;
    let mut words: String = text.chars().take(MOST).collect();
    if text.chars().count() > MOST {
        words.truncate(words.trim_end().len());
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::examples::capabilities;

    #[test]
    fn prompts_are_lines() {
        assert_eq!(prompts("a, b\r\n\n  c \n"), ["a, b", "c"]);
        assert!(prompts(" \n").is_empty());
        let given = ["one\n two".to_owned(), "three".to_owned()];
        assert_eq!(as_lines(&given), "one two\nthree");
    }

    #[test]
    fn limits_are_said() {
        let limits = capabilities().limits;
        assert_eq!(checked_prompts("a\nb", &limits).map(|all| all.len()), Ok(2));
        let many = "x\n".repeat(65);
        let words = checked_prompts(&many, &limits).unwrap_err();
        assert_eq!(words, "Give at most 64 prompts, one a line.");
        let long = format!("a\n{}", "x".repeat(65_537));
        let words = checked_prompts(&long, &limits).unwrap_err();
        assert_eq!(words, "Prompt 2: Give at most 65536 characters.");
    }

    #[test]
    fn beginnings_are_short() {
        assert_eq!(beginning("a fox"), "a fox");
        assert_eq!(beginning(&"ab ".repeat(20)).chars().count(), 41);
    }
}
