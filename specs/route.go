package specs

import (
	"fmt"
	"net/netip"
	"strings"
)

// setRoutes adds the routes of a comma list, the value of `-o route=`.
func setRoutes(n *Network, value string) error {
	for i, item := range strings.Split(value, ",") {
		r, err := parseRoute(item)
		if err != nil {
			return At(fmt.Sprintf("[%d]", i), err)
		}
		n.Routes = append(n.Routes, r)
	}
	return nil
}

// parseRoute parses a route in iproute2's notation: "PREFIX [via ADDRESS] [metric N]".
func parseRoute(s string) (Route, error) {
	bad := Invalid("", s, "PREFIX [via ADDRESS] [metric N], as \"198.51.100.0/24 via 192.0.2.1\"")
	words := strings.Fields(s)
	if len(words)%2 != 1 {
		return Route{}, bad
	}
	to, err := netip.ParsePrefix(words[0])
	if err != nil {
		return Route{}, bad
	}
	r := Route{To: to}
	for i := 1; i < len(words); i += 2 {
		switch words[i] {
		case "via":
			r.Via, err = netip.ParseAddr(words[i+1])
		case "metric":
			err = setInt(&r.Metric, words[i+1])
		default:
			return Route{}, bad
		}
		if err != nil {
			return Route{}, bad
		}
	}
	return r, nil
}
