// Package rest is the REST engine: it opens a connection spec of kind REST with credentials and parameters, tests it,
// explores it and reads its pages (contract flow-service §5 and §6).
//
// The files follow one request: spec (all dialects become one definition), expand (placeholders), window (schedule
// parameters), request (URL, headers, body), auth (credentials), page (paging), fetch (sending, retries, bounds),
// scan, span and content (cutting the body into records; docs/decisions/copy.md says what is checked of them), infer (schema of a preview). Records stay JSON bytes from the
// socket to the stage; nothing is decoded, and memory is bounded for a page of any size.
package rest
