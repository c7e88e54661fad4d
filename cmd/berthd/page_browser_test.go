//go:build browser

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"

	"github.com/chromedp/chromedp"
)

// browsePage opens a browser that ends with the test.
func browsePage(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath("chromium"),
		chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	_, err := chromedp.Run(ctx, chromedp.Navigate("about:blank")) // it starts the browser
	mustSucceed(t, err)
	return ctx
}

// onPage runs actions, and fails the test with the page's text if one fails.
func onPage(t *testing.T, ctx context.Context, name string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	step, stop := context.WithTimeout(ctx, 2*time.Minute)
	defer stop()
	if err := chromedp.Do(step, actions...); err != nil {
		text, _ := chromedp.Run(ctx, chromedp.Text("body"))
		t.Fatalf("%s: %v; the page shows %.1500q", name, err, text)
	}
}

func onceTrue(expression string) chromedp.Action[chromedp.Void] {
	return chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingTimeout(2*time.Minute))
}

// readTable is the text of the table of endpoints: an object of columns for each row.
const readTable = `(() => {
	const heads = [...document.querySelectorAll(".virtual thead button")].map((b) => b.textContent.replace(/ [▾▴]$/, ""));
	return JSON.stringify([...document.querySelectorAll(".virtual tbody tr:not([aria-hidden])")].map((row) =>
		Object.fromEntries([...row.children].map((cell, i) => [heads[i], (cell.querySelector("code") || cell).textContent.trim()]))));
})()`

// allColumns chooses every column, before the page is opened.
const allColumns = `localStorage.setItem("columns", JSON.stringify(["name", "image", "network", "engine", "door", "namespace", "interface", "addresses", "mac",
	"parent", "vlan", "mode", "origin", "phase", "receiveTotal", "transmitTotal", "violations"]))`

// rowOf returns the row that the page should have of an endpoint.
func rowOf(e *specs.Endpoint) map[string]string {
	orDash := func(n int) string {
		if n == 0 {
			return "–"
		}
		return fmt.Sprint(n)
	}
	door, network := "hook", e.Network
	if e.Origin == specs.OriginObserved {
		door, network = "(not by berth)", "(not by berth)"
	}
	var broken uint64
	for _, n := range e.Violations {
		broken += n
	}
	violations := "0"
	if broken > 0 {
		violations = fmt.Sprintf("⚠ %d", broken)
	}
	var addresses []string
	for _, a := range e.Addresses {
		addresses = append(addresses, a.String())
	}
	return map[string]string{
		"Name": e.Name, "Image": e.Image, "Network": network, "Engine": e.Engine, "Door": door, "Namespace": e.Namespace, "Interface": e.Interface,
		"Addresses": strings.Join(addresses, " "), "MAC": e.MAC.String(), "Parent": e.Parent, "VLAN": orDash(e.VLAN), "Mode": string(e.Mode),
		"Origin": string(e.Origin), "Phase": string(e.Phase), "Violations": violations,
		"Received": fmt.Sprintf("%d B", e.Counters.Receive.Total().Bytes), "Sent": fmt.Sprintf("%d B", e.Counters.Transmit.Total().Bytes),
	}
}

// splitOf returns the texts of the endpoint's table of counts, row by row.
func splitOf(e *specs.Endpoint) (all []string) {
	for _, c := range []specs.Casts{e.Counters.Receive.Local, e.Counters.Receive.External, e.Counters.Transmit.Local, e.Counters.Transmit.External} {
		for _, n := range []specs.Count{c.Unicast, c.Multicast, c.Broadcast} {
			all = append(all, fmt.Sprintf("%d B, %d frames", n.Bytes, n.Packets))
		}
	}
	return all
}

// TestBrowserShowsTheAgentsFigures compares the page with the agent's own answer, once all frames
// are counted: containers, one of docker with its name and image, an observed interface, and one
// container that forged its MAC. Then it kills the
// agent, and starts another.
func TestBrowserShowsTheAgentsFigures(t *testing.T) {
	testnet.Need(t, testnet.Root, testnet.Macvlan, testnet.Types)
	l := newLab(t)
	l.writeNetwork("lan", pooledFile)
	front := strings.Repeat("ab", 32)
	l.knowDocker(front, `{"Name":"/front","Config":{"Image":"nginx:1"}}`)
	agent := l.startAgent()
	l.attachContainer(front, 6)
	web, api := l.attachContainer("web", 7), l.attachContainer("api", 8)
	cam := l.makeForeign(9, "bridge")
	cam.setUp()
	cam.waitObserved()
	web.sendFrames(3)
	api.sendFrames(1)
	cam.sendFrames(2)
	web.runIP("link", "set", "net1", "address", "02:00:5e:00:53:99")
	web.sendFrames(1)
	web.runIP("link", "set", "net1", "address", web.mac.String())
	testnet.Eventually(t, "events of the forged MAC", func() bool { return len(l.eventsOf("web", specs.MACSpoof)) > 0 })
	ctx := browsePage(t)
	onPage(t, ctx, "overview", chromedp.Navigate(l.startPage().address), onceTrue(`document.querySelectorAll(".leaf").length === 4`),
		onceTrue(`document.querySelector(".leaf.bad .strong")?.textContent === "web-name"`), onceTrue(`document.querySelectorAll(".leaf.observed").length === 1`))
	onPage(t, ctx, "table", chromedp.Evaluate[chromedp.Void](allColumns), chromedp.Click(`nav a[href="#endpoints"]`), onceTrue(`document.querySelectorAll(".virtual tbody th a").length === 4`))
	l.wantTable(ctx)
	onPage(t, ctx, "names of docker", onceTrue(hasRow("front", "nginx:1")), onceTrue(hasRow("front", "docker")))
	e := l.endpointOf("web")
	split, err := json.Marshal(splitOf(&e))
	mustSucceed(t, err)
	onPage(t, ctx, "endpoint", onceTrue(`(() => {
			const link = [...document.querySelectorAll("tbody th a")].find((a) => a.textContent === "web-name");
			link?.click();
			return !!link;
		})()`),
		onceTrue(fmt.Sprintf(`JSON.stringify([...document.querySelectorAll("td.number small")].map((s) => s.textContent)) === JSON.stringify(%s)`, split)),
		onceTrue(`document.querySelector(".problems").innerText.includes("02:00:5e:00:53:99")`))
	onPage(t, ctx, "events", chromedp.Click(`nav a[href="#events"]`), onceTrue(`document.querySelector(".events").innerText.includes("02:00:5e:00:53:99")`),
		onceTrue(`document.querySelectorAll(".events tbody tr").length >= 1`))
	onPage(t, ctx, "networks", chromedp.Click(`nav a[href="#networks"]`), onceTrue(`document.body.innerText.includes("addresses of 192.0.2.0/24")`),
		onceTrue(`document.querySelectorAll(".mapbox .excluded").length === 8`), onceTrue(hasRow("lan", "3")), onceTrue(hasRow(parent, "counting")),
		onceTrue(`[...document.querySelectorAll("tr")].some((tr) => tr.querySelector("th")?.textContent === "lan" && tr.querySelector(".number.mark"))`))
	const lost = `document.querySelector(".banner")?.innerText.includes("The agent does not answer")`
	agent.stopAgent(syscall.SIGKILL)
	onPage(t, ctx, "killed", onceTrue(lost), chromedp.Click(`nav a[href="#overview"]`), onceTrue(`document.querySelectorAll(".leaf").length === 4`),
		onceTrue(`[...document.querySelectorAll(".leaf .of-wire")].every((e) => e.tagName === "rect" || e.textContent === "⇅ –")`))
	l.startAgent()
	onPage(t, ctx, "another agent", onceTrue(`!(`+lost+`) && document.querySelector(".live:not(.off)")`),
		onceTrue(`document.querySelector(".leaf .of-wire").textContent === "⇅ 0 B/s"`), onceTrue(`document.querySelector(".leaf.bad")`))
}

// hasRow returns the condition that a table has a row with this heading and a cell of this text.
func hasRow(heading, cell string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("tr")].some((tr) => tr.querySelector("th")?.textContent === %q
		&& [...tr.querySelectorAll("td")].some((td) => td.textContent === %q))`, heading, cell)
}

// wantTable requires that the table shows the agent's endpoints of the same moment.
func (l *lab) wantTable(ctx context.Context) {
	l.t.Helper()
	var got, want string
	testnet.Eventually(l.t, "a table with the agent's figures", func() bool {
		all, err := l.client.Endpoints(l.t.Context(), false)
		mustSucceed(l.t, err)
		byMAC := make(map[string]map[string]string)
		for i := range all {
			byMAC[all[i].MAC.String()] = rowOf(&all[i])
		}
		text, err := chromedp.Run(ctx, chromedp.Evaluate[string](readTable))
		mustSucceed(l.t, err)
		var rows []map[string]string
		mustSucceed(l.t, json.Unmarshal([]byte(text), &rows))
		shown := make(map[string]map[string]string)
		for _, row := range rows {
			shown[row["MAC"]] = row
		}
		was := got
		got, want = fmt.Sprint(shown), fmt.Sprint(byMAC)
		if got != want && got != was {
			l.t.Logf("the page shows\n%s\nthe agent has\n%s", got, want)
		}
		return got == want
	})
}
