"""Known ways to smuggle a script into HTML: none survives saving, whichever text, value or address it comes by."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import pytest

from chalicelib.actions import html
from chalicelib.actions.language import TemplateError, names_to_ids, of_message
from chalicelib.actions.language.compile import compile_template
from tests.actions.conftest import Desk

VECTORS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script/x>alert(1)</script>",
    "<script\n>alert(1)</script>",
    "<<script>alert(1);//<</script>",
    "<script>alert(1)//",
    "</p><script>alert(1)</script><p>",
    "<img src=x onerror=alert(1)>",
    "<img src=x onerror = alert(1)>",
    "<img src=x onerror\n=\nalert(1)>",
    "<img src=x OnErRoR=alert(1)>",
    "<img/src=x/onerror=alert(1)>",
    '<img src="x" alt="`" onerror=alert(1)>',
    "<img \"\"\"><script>alert(1)</script>\">",
    "<img src=javascript:alert(1)>",
    "<img src=`javascript:alert(1)`>",
    '<img src="jav\tascript:alert(1)">',
    '<img src="jav&#x09;ascript:alert(1)">',
    '<img src="jav&#x0A;ascript:alert(1)">',
    '<img src=" &#14; javascript:alert(1)">',
    "<img src=&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)>",
    "<img dynsrc=javascript:alert(1)>",
    "<img lowsrc=javascript:alert(1)>",
    "<img srcset='x 1x, javascript:alert(1) 2x'>",
    "<svg onload=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x></svg>",
    "<svg><set attributeName=href to=javascript:alert(1)></svg>",
    "<svg><foreignObject><iframe srcdoc='<script>alert(1)</script>'></foreignObject></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    "<math href='javascript:alert(1)'>x</math>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<frameset><frame src=javascript:alert(1)></frameset>",
    "<object data=javascript:alert(1)></object>",
    "<object type=text/html data='data:text/html,<script>alert(1)</script>'></object>",
    "<embed src=javascript:alert(1)>",
    "<applet code=x></applet>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href='JaVaScRiPt:alert(1)'>x</a>",
    "<a href='java\0script:alert(1)'>x</a>",
    "<a href='  javascript:alert(1)'>x</a>",
    "<a href='javascript&colon;alert(1)'>x</a>",
    "<a href='&#1;javascript:alert(1)'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=='>x</a>",
    "<a href='feed:javascript:alert(1)'>x</a>",
    "<a href=x onmouseover=alert(1)>x</a>",
    "<a href='https://x.example' target=_blank onclick=alert(1)>x</a>",
    "<form action=javascript:alert(1)><input type=submit></form>",
    "<form><button formaction=javascript:alert(1)>x</button></form>",
    "<input onfocus=alert(1) autofocus>",
    "<input type=image src=javascript:alert(1)>",
    "<select onfocus=alert(1) autofocus></select>",
    "<textarea onfocus=alert(1) autofocus></textarea>",
    "<keygen onfocus=alert(1) autofocus>",
    "<isindex action=javascript:alert(1) type=submit>",
    "<body onload=alert(1)>",
    "<body background=javascript:alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<video src=x onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)></audio>",
    "<details open ontoggle=alert(1)>x</details>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<table background=javascript:alert(1)><tr><td>x</td></tr></table>",
    "<td background='javascript:alert(1)'>x</td>",
    "<div style='background:url(javascript:alert(1))'>x</div>",
    "<div style='width:expression(alert(1))'>x</div>",
    "<div style='behavior:url(x.htc)'>x</div>",
    "<div style='-moz-binding:url(x.xml#y)'>x</div>",
    "<div style='position:fixed;top:0;left:0;width:100%;height:100%'>x</div>",
    "<div style='background:url(https://evil.example/track)'>x</div>",
    "<div style='background-image:\\75rl(javascript:alert(1))'>x</div>",
    "<style>@import 'javascript:alert(1)';</style>",
    "<style>body{background:url(javascript:alert(1))}</style>",
    "<link rel=stylesheet href=javascript:alert(1)>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<base href=javascript:alert(1)//>",
    "<bgsound src=javascript:alert(1)>",
    "<layer src=javascript:alert(1)></layer>",
    "<xss onclick=alert(1)>x</xss>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<title><img title='</title><img src=x onerror=alert(1)>'></title>",
    "<template><script>alert(1)</script></template>",
    "<plaintext><script>alert(1)</script>",
    "<xmp><p title='</xmp><img src=x onerror=alert(1)>'></xmp>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!--<img src='--><img src=x onerror=alert(1)//'>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    "<p title='{{ name }}' onclick=alert(1)>x</p>",
    "<p id=x class=y onclick='{{ name }}'>x</p>",
    "{{ name | default: \"<script>alert(1)</script>\" }}",
    "{% if passed %}<img src=x onerror=alert(1)>{% endif %}",
    "<a href='{% if passed %}javascript:{% endif %}alert(1)'>x</a>",
    "<a href='java{{ quiz }}script:alert(1)'>x</a>",
    "<img src='{{ home }}' onerror='alert(1)'>",
]  # fmt: skip

NAMES = of_message({1: ("name", "text"), 2: ("quiz", "integer"), 3: ("passed", "boolean"), 4: ("home", "text")}, {})
ALLOWED = set().union(*html.ATTRIBUTES.values())


class Page(HTMLParser):
    """Fails on what a mail must not have."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in html.ELEMENTS, tag
        for name, value in attrs:
            assert name in ALLOWED, f"{tag} {name}"
            text = re.sub(r"[\x00-\x20]", "", unescape(value or "")).lower()
            if name in {"href", "src"}:
                scheme = re.match(r"[a-z][a-z0-9+.-]*:", text)
                assert scheme is None or scheme[0] in {"http:", "https:", "mailto:"}, value
            if name == "style":
                assert not re.search(r"expression|javascript|behavior|binding|position|import|url\(", text), value

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment is left: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration is left: {decl}")


def look_at(page: str) -> None:
    reader = Page()
    reader.feed(page)
    reader.close()


def test_there_are_enough_of_them() -> None:
    assert len(set(VECTORS)) >= 60


@pytest.mark.parametrize("vector", VECTORS, ids=[str(at) for at in range(len(VECTORS))])
def test_nothing_of_it_is_left(vector: str) -> None:
    cleaned, _ = html.clean(vector)
    assert html.clean(cleaned)[0] == cleaned
    try:
        stored = names_to_ids(cleaned, NAMES)
    except TemplateError:
        return  # refused with its place
    look_at(compile_template(stored).render({"c1": "a", "c2": 1, "c3": True, "c4": "javascript:alert(1)"}))


@pytest.mark.parametrize("vector", VECTORS[:60], ids=[str(at) for at in range(60)])
def test_as_a_value_it_is_only_text(vector: str) -> None:
    compiled = compile_template(
        '<p>{{ @c1 }}</p><a href="{{ @c1 }}">x</a><img src="https://x/{{ @c1 }}" alt="{{ @c1 }}">'
    )
    page = compiled.render({"c1": vector})
    look_at(page)
    assert re.findall(r"<(\w+)", page) == ["p", "a", "img"]


def test_through_the_editor_it_is_taken_out_with_a_notice(desk: Desk) -> None:
    for vector in VECTORS:
        status, answer = desk.save(f"<p>Hello</p>{vector}")
        if status == 200:
            look_at(desk.mail(1))
        else:
            assert answer["problems"], vector
    status, answer = desk.save("<p onclick=a()>x</p><script>alert(1)</script>")
    assert status == 200
    assert {"script", "onclick"} <= set(answer["removed"])


def test_honest_styles_stay() -> None:
    text = '<p style="color:red !important;font-family:&quot;Times New Roman&quot;">x</p>'
    cleaned = html.clean(text)[0].replace(" ", "")
    assert "color:red!important" in cleaned
    assert "TimesNewRoman" in cleaned
