// Package web serves the page on which the LAN's containers, their traffic and their
// violations are shown. It reads the agent's socket and changes nothing.
//
// [Serve] answers the requests of viewers until its context ends.
//
// auth.go decides which requests are answered, feed.go and message.go compute the messages to
// the page (they are pure; specs/page.md defines the format), hub.go sends them to every viewer,
// and server.go has the routes. The page is in page/, as ES modules without a build step:
// template.js and dom.js render, chart.js draws, store.js and traffic.js keep the state, order.js
// sorts the rows, and each view has a file.
package web
