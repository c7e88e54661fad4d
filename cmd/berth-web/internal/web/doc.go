// Package web serves the page on which the LAN's containers, their traffic and their
// violations are shown. It reads the agent's socket and changes nothing.
//
// auth.go decides which requests are answered, feed.go computes the messages to the page
// (it is pure), hub.go sends them to every viewer, and server.go has the routes. The page
// is in page/, as ES modules without a build step: template.js and dom.js render, chart.js
// draws, store.js keeps the state, and each view has a file.
package web
