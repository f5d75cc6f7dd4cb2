// Package api serves the HTTP APIs: Flow Service, Schema Registry, Catalog, Conversion, Data Access, batch ingestion, sandboxes and
// the token endpoints. It decides nothing about records; it checks requests, keeps documents and calls the engine.
//
// A request passes [Server.ServeHTTP] (gateway.go): request id, route, token, organisation and sandbox; then one handler; then either
// a reply or a failure. Handlers return errors and never write one: errors.go alone turns a [weir.Error] into a status and a body.
//
// # Adding a collection
//
// Write one file with a route table and handlers, add one line to services in server.go, and describe the routes in
// openapi/<service>.yaml first:
//
//	var catalogRoutes = []route{
//		{"GET", "/dataSets", listDatasets, access{}},
//		{"GET", "/dataSets/{id}", getDataset, access{}},            // c.param("id"): one escaped segment, decoded
//		{"PUT", "/tenant/schemas/{id...}", putSchema, access{}},    // the raw rest of the path, decoded once
//		{"PUT", "/x/{id}", upload, access{limit: 512 << 20}},       // a larger body, read through c.stream
//	}
//
//	func getDataset(c *call) (reply, error) {
//		var d *weir.Doc
//		err := c.view(func(tx *store.Tx) (err error) {
//			d, err = c.get(tx, weir.KindDataset, c.param("id"))
//			return err
//		})
//		if err != nil {
//			return reply{}, err
//		}
//		return ok(object…), nil
//	}
//
// A handler gets a [call]: the scope (organisation and sandbox, checked), the actor, path and query parameters, the body (c.body for
// one whole JSON value with bounded size and depth, c.object for its members in order, c.stream for bytes). It answers with ok,
// created, noContent or a reply literal (raw bytes: body []byte; streams: reply.stream).
//
// An error with a code of the service's family (weir.Errorf("XDM-1012-404", …)) decides status and body. Errors without a code become
// what the service's row says: weir.ErrNotFound its notFound code, anything else its internal code, logged with the request id.
package api
