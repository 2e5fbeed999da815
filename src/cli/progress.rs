//! Owns the bar that long commands show on a terminal, where it disturbs nothing that is written there.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// How often the bar is drawn: often enough to be seen moving.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// Whether there is a terminal for a bar beside what goes to the standard output.
pub(super) fn is_shown() -> bool {
    io::stderr().is_terminal() && !io::stdout().is_terminal()
}

/// A bar on the standard error for so many `things`, and nothing where that is no terminal.
pub(super) fn bar(total: u64, things: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template = format!("{{bar:40}} {{human_pos}} of {{human_len}} {things}, {{rate}} a second, {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.0}", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
    }
    bar.enable_steady_tick(DRAWN_EVERY);
    bar
}
