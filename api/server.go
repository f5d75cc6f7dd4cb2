package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weir"
	"weir/flow"
	"weir/lake"
	"weir/specs"
	"weir/store"
)

// Limits of the HTTP server that carries a [Server] (flow-service R32).
const (
	// MaxHeaderBytes is for http.Server: larger request headers are refused with 431.
	MaxHeaderBytes = 1 << 20
	// ReadHeaderTimeout is for http.Server: a connection whose headers are not complete by then is closed.
	ReadHeaderTimeout = 30 * time.Second
	// IdleTimeout is for http.Server.
	IdleTimeout = 2 * time.Minute
	// maxBody is the largest JSON body in bytes where a route says nothing else.
	maxBody = 4 << 20
)

// AuthMode says how the gateway treats requests (flow-service R1).
type AuthMode string

// Auth modes.
const (
	// AuthToken asks for a bearer token of this installation on every call; the default.
	AuthToken AuthMode = "token"
	// AuthOpen takes the organisation from its header and asks for no token. It is for loopback listeners only.
	AuthOpen AuthMode = "open"
)

// Config is what a [Server] is made of.
type Config struct {
	Store  *store.Store
	Engine *flow.Engine
	Lake   *lake.Lake
	Auth   AuthMode
	// PublicURL is the address clients use, without a slash at the end; links in answers begin with it. Empty: taken from each request.
	PublicURL string
	// LenientCount answers count=true&limit=… with the count instead of 1401 (R6).
	LenientCount bool
	// StrictQuery refuses unknown query parameters with 1451 (R12).
	StrictQuery bool
	// Metrics collects the server's figures and is what /metrics shows; nil makes a registry of its own.
	Metrics *prometheus.Registry
	Log     *slog.Logger     // nil: slog.Default()
	Now     func() time.Time // nil: time.Now
}

// Server is the whole HTTP surface. Make one with [New].
type Server struct {
	Config
	routes  *node
	served  []service
	key     atomic.Pointer[[]byte] // the token key, read once
	metrics *metrics
	scrape  http.Handler
}

// service is a family of routes under one base path.
type service struct {
	name string
	base string
	// aliases are further bases for the same routes.
	aliases []string
	routes  []route
	// codes of failures that are the same for every route of the service.
	codes serviceCodes
	// document is the service's OpenAPI file in openapi/, empty for none.
	document string
}

// serviceCodes are the codes for failures that carry none of their own.
type serviceCodes struct {
	internal  string // anything unexpected
	notFound  string // weir.ErrNotFound, and paths that do not exist
	conflict  string // weir.ErrConflict: somebody else wrote at the same time
	method    string // the path exists, the method does not
	badJSON   string
	emptyBody string
	tooLarge  string
	sandbox   string // unknown sandbox
}

// codesOf are the generic codes of a family, for services whose contract names no others.
func codesOf(family string) serviceCodes {
	return serviceCodes{
		internal: family + "-1000-500", notFound: family + "-1000-404", conflict: family + "-1000-412", method: family + "-1000-405",
		badJSON: family + "-1000-400", emptyBody: family + "-1000-400", tooLarge: family + "-1000-413", sandbox: family + "-2100-404",
	}
}

// services is the whole surface: one line per service.
func services() []service {
	return []service{
		{name: "flow-service", base: "/data/foundation/flowservice", routes: flowServiceRoutes, document: "flow-service.yaml", codes: serviceCodes{
			internal: "FLOW-1400-500", notFound: "FLOW-1439-404", conflict: "FLOW-1404-412", method: "FLOW-1100-405",
			badJSON: "FLOW-1000-400", emptyBody: "FLOW-1405-400", tooLarge: "FLOW-1000-413", sandbox: "FLOW-2100-404",
		}},
		{name: "schema-registry", base: registryBase, routes: registryRoutes, document: "schema-registry.yaml", codes: codesOf("XDM")},
		{name: "catalog", base: catalogBase, routes: catalogRoutes, document: "catalog.yaml", codes: codesOf("CATALOG")},
		{name: "data-access", base: exportBase, routes: exportRoutes, document: "data-access.yaml", codes: codesOf("EXPORT")},
		{name: "batch-ingestion", base: importBase, routes: importRoutes, document: "batch-ingestion.yaml", codes: codesOf("INGEST")},
		{name: "dataset-labels", base: "/data/foundation/dataset", routes: labelRoutes, document: "dataset-labels.yaml", codes: labelCodes},
		{
			name: "mapping-sets", base: conversionBase + "/mappingSets", aliases: []string{"/data/foundation/mappingSets"}, routes: mappingSetRoutes, codes: conversionCodes,
		},
		{name: "conversion", base: conversionBase, routes: conversionRoutes, document: "conversion.yaml", codes: conversionCodes},
		{name: "sandboxes", base: "/data/foundation/sandbox-management", routes: sandboxRoutes, document: "sandboxes.yaml", codes: codesOf("SANDBOX")},
		{name: "ims", base: "/ims", routes: imsRoutes, document: "ims.yaml", codes: codesOf("IMS")},
		{name: "system", base: "", routes: systemRoutes, codes: codesOf("WEIR")},
	}
}

// New makes a server. The caller owns the store, the engine and the lake.
func New(c Config) *Server {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Auth == "" {
		c.Auth = AuthToken
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	s := &Server{Config: c, routes: &node{}, metrics: newMetrics(c.Metrics), scrape: promhttp.HandlerFor(c.Metrics, promhttp.HandlerOpts{})}
	s.served = services()
	for i := range s.served {
		sv := &s.served[i]
		for _, base := range append([]string{sv.base}, sv.aliases...) {
			for _, r := range sv.routes {
				s.routes.add(base+r.path, &bound{route: r, service: sv})
			}
		}
	}
	return s
}

// serviceOf is the service whose base path begins a request's path, for failures without a route. It is nil outside all bases.
func (s *Server) serviceOf(path string) *service {
	for i := range s.served {
		sv := &s.served[i]
		for _, base := range append([]string{sv.base}, sv.aliases...) {
			if base != "" && (path == base || strings.HasPrefix(path, base+"/")) {
				return sv
			}
		}
	}
	return nil
}

var systemRoutes = []route{
	{"GET", "/healthz", health, access{open: true}},
	{"GET", "/metrics", showMetrics, access{open: true}},
	{"GET", "/openapi", listDocuments, access{open: true}},
	{"GET", "/openapi/{name}", getDocument, access{open: true}},
}

func health(c *call) (reply, error) {
	if err := c.server.Store.Ping(c.ctx()); err != nil {
		c.server.Log.ErrorContext(c.ctx(), "health check", "error", err)
		return reply{status: http.StatusServiceUnavailable, body: map[string]string{"status": "the database does not answer"}}, nil
	}
	return ok(map[string]string{"status": "ok"}), nil
}

func showMetrics(c *call) (reply, error) {
	return reply{stream: func(w http.ResponseWriter) error { c.server.scrape.ServeHTTP(w, c.req); return nil }}, nil
}

// SeedSpecs writes the built-in connection and flow specs into the store: new ones are added, changed ones replaced, and those an
// organisation has made its own are left alone. It is called once at start and is safe to run in several processes.
func SeedSpecs(ctx context.Context, st *store.Store) error {
	return errors.Join(seed(ctx, st, weir.KindConnectionSpec, specs.Connections()), seed(ctx, st, weir.KindFlowSpec, specs.Flows()))
}
