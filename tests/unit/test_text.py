"""Markdown to HTML that no visitor's browser runs."""

from html.parser import HTMLParser

import pytest

from gptagent.kernel.text import plain_text, render_markdown

ATTACKS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "![pixel](https://evil.example/who-reads.png)",
    "![pixel](data:image/svg+xml;base64,PHN2Zz4=)",
    "<svg/onload=alert(1)>",
    "<svg><script>alert&#40;1&#41;</script></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=javascript:alert(1)>",
    "<embed src=javascript:alert(1)>",
    "<form action=javascript:alert(1)><button>go</button></form>",
    "<style>body{background:url(//evil.example)}</style>",
    "<link rel=stylesheet href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=x onclick=alert(1)>x</a>",
    "<p style='position:fixed;inset:0'>x</p>",
    "<template><img src=x onerror=alert(1)></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](\u0001javascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](file:///etc/passwd)",
    '[x](https://ok.example "a&quot;onmouseover=alert(1) b")',
    "<javascript:alert(1)>",
    "[x]: javascript:alert(1)\n\n[x]",
    "`<script>alert(1)</script>`",
    '```"><img src=x onerror=alert(1)>\n</code><script>alert(1)</script>\n```',
    "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
    "[a](https://b.example)<hr id=x onmouseover=alert(1)>",
    "<a name=body><a id=location>",
    "<div hx-get=/logout hx-trigger=load>x</div>",
]  # fmt: skip
SCHEMES = ("http:", "https:", "mailto:", "tel:")
TAGS = {
    "a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre",
    "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


class Reader(HTMLParser):
    """Collects every element and attribute as a browser would see them."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))


@pytest.mark.parametrize("source", ATTACKS)
def test_nothing_that_runs_or_phones_home_survives(source):
    """U153"""
    for tag, attributes in Reader(render_markdown(source)).elements:
        assert tag in TAGS
        assert set(attributes) <= ({"href", "title", "rel"} if tag == "a" else {"start"})
        assert (attributes.get("href") or "https:").lower().startswith(SCHEMES)


WRITTEN = """# Title

A **bold** ~~old~~ [link](https://a.example 'T')

3. three

| a |
|---|
| b |

> quote

`x < y`
"""


@pytest.mark.parametrize(
    "part",
    [
        "<h2>Title</h2>",  # the page around it has the only first heading (U005)
        "<strong>bold</strong> <s>old</s>",
        '<a href="https://a.example" title="T" rel="noopener noreferrer nofollow">link</a>',
        '<ol start="3">\n<li>three</li>',
        "<th>a</th>",
        "<blockquote>\n<p>quote</p>",
        "<code>x &lt; y</code>",
    ],
)
def test_what_people_write_is_rendered(part):
    assert part in render_markdown(WRITTEN)


def test_html_is_shown_as_the_text_it_is():
    assert render_markdown("<b>x</b>") == "<p>&lt;b&gt;x&lt;/b&gt;</p>\n"


def test_a_template_takes_the_result_as_it_is():
    assert render_markdown("*x*").__html__() == "<p><em>x</em></p>\n"


def test_a_chat_shows_words_without_marks():
    source = "# Цена\n\n**350** рублей\nза [доставку](https://a.example)\n\n- раз\n- два\n\n```\nкод\n```"
    assert plain_text(source) == "Цена\n350 рублей\nза доставку\nраз\nдва\nкод"
