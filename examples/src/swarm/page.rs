//! The page that a run leaves: one file, no network.

use super::timeline::Timeline;

const TEMPLATE: &str = include_str!("page.html");
const PLACE: &str = "/*DATA*/null";

/// The whole page.
pub fn render(timeline: &Timeline) -> Result<String, serde_json::Error> {
    // `</` inside a string would end the script element.
    let data = serde_json::to_string(timeline)?.replace("</", "<\\/");
    Ok(TEMPLATE.replace(PLACE, &data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_its_data_and_asks_no_network() {
        let page =
            render(&Timeline { title: "a </script> title".into(), ..Timeline::default() }).expect("a page");
        assert!(page.contains(r"a <\/script> title"));
        assert!(!page.contains(PLACE));
        for word in ["http://", "https://", "src=", "@import", "url("] {
            let found = page.replace("http://www.w3.org/2000/svg", "").contains(word);
            assert!(!found, "the page asks for {word}");
        }
    }
}
