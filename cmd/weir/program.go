package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"weir"
	"weir/api"
	"weir/blob"
	"weir/flow"
	"weir/lake"
	"weir/source/rest"
	"weir/store"
)

// settings say what a program is made of: the flags of serve, read from the command line, WEIR_… variables or the config file.
type settings struct {
	Data      string `help:"Folder of the embedded database, the lake and the credentials." default:"data" type:"path"`
	Database  string `help:"Metadata database: postgres://… or sqlite:FILE. Default: sqlite in the data folder."`
	Lake      string `help:"Bucket of the lake: file:///folder or s3://bucket/prefix?region=…. Default: a folder in the data folder."`
	MasterKey string `help:"32 bytes in base64 that seal the stored credentials. Default: the key file in the data folder, made at the first start."`

	ClientID     string `help:"Client id of the first credential. Default: generated."`
	ClientSecret string `help:"Client secret of the first credential. Default: generated."`
	OrgID        string `help:"Organisation id (24 hex digits and @AdobeOrg). Default: generated."`

	LogLevel  string `help:"debug, info, warn or error." default:"info"`
	LogFormat string `help:"text or json." default:"text" enum:"text,json"`
}

// program is everything one process runs. Open it, serve it, close it; tests do the same with a port of 0.
type program struct {
	settings settings
	serve    serveFlags
	log      *slog.Logger

	store  *store.Store
	bucket *blob.Bucket
	engine *flow.Engine
	server *http.Server
	ln     net.Listener
}

// openStore opens the database and the master key.
func openStore(ctx context.Context, s *settings, log *slog.Logger) (*store.Store, error) {
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	key, err := masterKey(s)
	if err != nil {
		return nil, err
	}
	url := s.Database
	if url == "" {
		url = "sqlite:" + filepath.Join(s.Data, "weir.db")
	}
	return store.Open(ctx, store.Config{URL: url, MasterKey: key, Log: log})
}

func masterKey(s *settings) ([]byte, error) {
	if s.MasterKey == "" {
		return store.LoadOrCreateKey(filepath.Join(s.Data, "master.key"))
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s.MasterKey))
	if err != nil || len(key) != 32 {
		return nil, errors.New("--master-key: 32 bytes in base64 are expected, for example the output of: openssl rand -base64 32")
	}
	return key, nil
}

// openProgram opens the store, the lake and the listener, and bootstraps the first credential. Close it also after a failure to serve.
func openProgram(ctx context.Context, s settings, f serveFlags, log *slog.Logger) (_ *program, err error) {
	p := &program{settings: s, serve: f, log: log}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if err := f.check(); err != nil {
		return nil, err
	}
	if p.store, err = openStore(ctx, &s, log); err != nil {
		return nil, err
	}
	cred, created, err := api.Bootstrap(ctx, p.store, api.BootstrapConfig{ClientID: s.ClientID, ClientSecret: s.ClientSecret, OrgID: s.OrgID})
	if err != nil {
		return nil, err
	}
	if created {
		if err := writeCredentials(filepath.Join(s.Data, "credentials.json"), cred); err != nil {
			return nil, err
		}
	}
	if err := api.SeedSpecs(ctx, p.store); err != nil {
		return nil, err
	}
	l, err := p.openLake(ctx)
	if err != nil {
		return nil, err
	}
	if p.ln, err = (&net.ListenConfig{}).Listen(ctx, "tcp", f.Listen); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if p.serve.PublicURL == "" {
		p.serve.PublicURL = "http://" + p.ln.Addr().String()
	}
	if err := p.makeEngine(l); err != nil {
		return nil, err
	}
	handler := api.New(api.Config{
		Store: p.store, Engine: p.engine, Lake: l, Auth: api.AuthMode(f.Auth), PublicURL: f.PublicURL, Log: log,
	})
	p.server = &http.Server{
		Handler: handler, MaxHeaderBytes: api.MaxHeaderBytes, ReadHeaderTimeout: api.ReadHeaderTimeout, IdleTimeout: api.IdleTimeout,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return p, nil
}

func (p *program) openLake(ctx context.Context) (*lake.Lake, error) {
	url := p.settings.Lake
	if url == "" {
		dir, err := filepath.Abs(filepath.Join(p.settings.Data, "lake"))
		if err != nil {
			return nil, err
		}
		url = "file://" + filepath.ToSlash(dir)
	}
	var err error
	if p.bucket, err = blob.Open(ctx, url); err != nil {
		return nil, err
	}
	return lake.Open(ctx, p.bucket, p.log)
}

func (p *program) makeEngine(l *lake.Lake) error {
	f := &p.serve
	private, err := privateSources(f.AllowPrivateSources)
	if err != nil {
		return err
	}
	// One client for all sources of the process: connections, short-lived tokens and rate budgets are shared.
	options := rest.Options{AllowPrivate: private, Client: rest.NewClient(private), Ledger: p.store, Log: p.log}
	p.engine = &flow.Engine{
		Store: p.store, Lake: l, Hosts: f.SourceHost, PublicURL: strings.TrimRight(p.serve.PublicURL, "/"),
		Workers: f.Workers, PromoteThreads: f.Threads, LeaseTTL: f.LeaseTTL, Log: p.log, Fail: failpoint(),
		Embedded: !strings.HasPrefix(p.settings.Database, "postgres"), KeepSmallFiles: !f.Compact,
		Openers: map[string]flow.Opener{
			"rest": func(ctx context.Context, b weir.Binding) (flow.Source, error) { return rest.Open(ctx, b, options) },
		},
	}
	if p.engine.PromoteThreads == 0 {
		p.engine.PromoteThreads = runtime.GOMAXPROCS(0)
	}
	return nil
}

// privateSources reads --allow-private-sources: prefixes, or the word all.
func privateSources(list []string) (out []netip.Prefix, err error) {
	for _, s := range list {
		switch p, err := netip.ParsePrefix(s); {
		case s == "all":
			out = append(out, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"))
		case err == nil:
			out = append(out, p)
		default:
			a, err := netip.ParseAddr(s)
			if err != nil {
				return nil, fmt.Errorf("--allow-private-sources %q: a network such as 10.1.0.0/16, an address, or all is expected", s)
			}
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return out, nil
}

func writeCredentials(path string, c api.Credentials) error {
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	return nil
}

// drainTime is how long open requests and running steps get to reach an end after SIGTERM.
const drainTime = 20 * time.Second

// run serves until ctx is done, then drains: no new requests, running steps stop at their next checkpoint.
func (p *program) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2)
	engineDone := make(chan struct{})
	go func() {
		defer close(engineDone)
		if err := p.engine.Run(ctx); err != nil {
			failed <- fmt.Errorf("engine: %w", err)
		}
	}()
	go func() {
		if err := p.server.Serve(p.ln); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve: %w", err)
		}
	}()
	p.log.Info("ready", "address", "http://"+p.ln.Addr().String(), "data", p.settings.Data, "auth", p.serve.Auth)
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		p.log.Info("draining")
	}
	cancel()
	drain, stop := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer stop()
	if serr := p.server.Shutdown(drain); serr != nil {
		p.log.Warn("requests were cut off", "error", serr)
	}
	select {
	case <-engineDone:
	case <-drain.Done():
		p.log.Warn("running steps were cut off; they go on at the next start")
	}
	return err
}

// close releases everything that was opened.
func (p *program) close() {
	if p.ln != nil {
		_ = p.ln.Close()
	}
	if p.bucket != nil {
		_ = p.bucket.Close()
	}
	if p.store != nil {
		if err := p.store.Close(); err != nil {
			p.log.Warn("close store", "error", err)
		}
	}
}
