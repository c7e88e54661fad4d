//go:build browser

package web

import "testing"

// The page renders by dom.js and template.js, and draws by chart.js. These tests hold them as a
// library's own tests would: by the browser's parser, and by numbers of any size.

// TestBrowserTemplates renders random markup, and compares the document with that of the browser's
// own parser. Values that look like markup stay text.
func TestBrowserTemplates(t *testing.T) {
	t.Parallel()
	ctx, _, _ := openRich(t, 10)
	got := evaluate[string](t, ctx, `import("./dom.js").then(async ({ html, render }) => {
		let seed = 11;
		const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
		const one = (all) => all[random(all.length)];
		const hostile = ["<b>x</b>", "&amp;", "\"'", "</p>", "<script>", "${1}", "a=b", "ü 漢"];
		const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
		// make returns a template's strings and values, and the markup that it stands for.
		const make = (depth) => {
			const name = one(["div", "p-x", "span", "section"]);
			const strings = ["<" + name], values = [];
			let markup = "<" + name;
			const add = (text) => { strings[strings.length - 1] += text; };
			for (const attribute of ["title", "aria-label", "data-x"].slice(random(4))) {
				const value = one(hostile);
				markup += " " + attribute + "=\"" + value.replaceAll("&", "&amp;").replaceAll("\"", "&quot;") + "\"";
				add(one([" ", "\n\t"]) + attribute + "=");
				values.push(value);
				strings.push("");
			}
			add(">");
			markup += ">";
			for (let n = random(4); n > 0; n--) {
				const kind = one(depth > 0 ? ["text", "value", "child", "list"] : ["text", "value"]);
				if (kind === "text") {
					const text = one(["plain", "two  spaces", " one at each end "]);
					add(text);
					markup += text;
				} else if (kind === "value") {
					const text = one(hostile);
					values.push(text);
					strings.push("");
					markup += escaped(text);
				} else if (kind === "child") {
					const child = make(depth - 1);
					add(child.strings[0]);
					strings.push(...child.strings.slice(1));
					values.push(...child.values);
					markup += child.markup;
				} else {
					const list = Array.from({ length: random(3) }, () => make(depth - 1));
					values.push([null, false, ...list.map((c) => html(c.strings, ...c.values)), undefined]);
					strings.push("");
					markup += list.map((c) => c.markup).join("");
				}
			}
			add("</" + name + ">");
			return { strings, values, markup: markup + "</" + name + ">" };
		};
		for (let round = 0; round < 500; round++) {
			const { strings, values, markup } = make(4);
			const ours = document.createElement("div");
			render(html(strings, ...values), ours);
			ours.normalize(); // the parser joins texts
			const parsed = new DOMParser().parseFromString("<div>" + markup + "</div>", "text/html").body.firstChild;
			if (!ours.isEqualNode(parsed)) return round + ": " + ours.innerHTML + " instead of " + parsed.innerHTML;
		}
		for (const malformed of [["<p>"], ["</p>"], ["<p"], ["<p title=x>a</p>"], ["<p></p></p>"]]) {
			try {
				html(malformed);
				return "the template " + malformed + " is not refused";
			} catch (e) {
				if (!/malformed/.test(e.message)) return malformed + ": " + e.message;
			}
		}
		return "same";
	})`)
	if got != "same" {
		t.Error(got)
	}
}

// TestBrowserCharts draws histories with gaps and with numbers of any size: every line is within the
// frame, a gap interrupts it, and the scale's top is the next round number.
func TestBrowserCharts(t *testing.T) {
	t.Parallel()
	ctx, _, _ := openRich(t, 10)
	got := evaluate[string](t, ctx, `Promise.all([import("./dom.js"), import("./chart.js"), import("./format.js")]).then(async ([{ html, render }, { Chart, linePath, scaleTop }, { formatClock }]) => {
		for (const [most, top] of [[0, 100], [100, 100], [101, 200], [499, 500], [501, 1000], [2e9, 2e9], [2.1e9, 5e9]]) {
			if (scaleTop(most) !== top) return "the top for " + most + " is " + scaleTop(most);
		}
		if (linePath([[0, 1], [1, 2], [2, null], [3, 4]]) !== "M0.0 1.0L1.0 2.0M3.0 4.0") return linePath([[0, 1], [1, 2], [2, null], [3, 4]]);
		const lines = [{ label: "a", value: (rates) => rates && rates[0] }, { label: "b", value: (rates) => rates && rates[1] }];
		for (const history of [
			[],
			[[1000, null]],
			[[1000, [0, 0]]],
			Array.from({ length: 300 }, (_, i) => [1000 + i, i % 7 ? [i * 1e10, 300 - i] : null]),
			Array.from({ length: 50 }, (_, i) => [1000.4 + i, [2 ** 53, 1e-9]]),
		]) {
			const div = document.body.appendChild(document.createElement("div"));
			div.style.width = "600px";
			render(html`+"`<${Chart} title=\"t\" history=${history} lines=${lines} />`"+`, div);
			const svg = div.querySelector(".chart > svg");
			for (const begun = Date.now(); svg.getAttribute("width") === "800";) { // until the chart has measured its width
				if (Date.now() - begun > 60000) return "the chart keeps its first width";
				await new Promise((done) => setTimeout(done, 20));
			}
			if (/NaN|Infinity|undefined/.test(div.innerHTML)) return "numbers: " + div.innerHTML.match(/.{60}(NaN|Infinity|undefined)/)[0];
			if (history.length === 0 && svg.textContent.includes(formatClock(0))) return "an empty chart shows the time 0";
			for (const path of svg.querySelectorAll("path.line")) {
				const d = path.getAttribute("d");
				const numbers = [...d.matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)].map((m) => [Number(m[1]), Number(m[2])]);
				if (numbers.some(([x, y]) => x < -1 || x > 601 || y < -1 || y > 241)) return "a line leaves the frame: " + d.slice(0, 200);
				const gaps = history.filter((s, i) => i && s[1] && !history[i - 1][1]).length;
				if (history.length === 300 && d.split("M").length - 1 !== gaps) return gaps + " gaps: " + d.slice(0, 200);
			}
			div.remove();
		}
		return "drawn";
	})`)
	if got != "drawn" {
		t.Error(got)
	}
}
