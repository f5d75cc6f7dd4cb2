package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// serveFlags are the flags of serve that are not about where things are stored.
type serveFlags struct {
	Listen    string `help:"Address to listen on." default:"127.0.0.1:8080"`
	PublicURL string `help:"Address that clients use, for links in answers. Default: the listening address."`
	Auth      string `help:"token: every call needs a bearer token. open: the organisation header is enough (loopback only)." default:"token" enum:"token,open"`

	SourceHost          map[string]string `help:"Override the host of a built-in connection spec, SPEC_ID=URL; repeatable." mapsep:"none" placeholder:"SPEC_ID=URL"`
	AllowPrivateSources []string          `help:"Let sources be at these private addresses: a network, or all; repeatable." placeholder:"CIDR"`

	Workers  int           `help:"Run steps worked at once." default:"4"`
	Threads  int           `help:"Threads of one promotion. Default: one per core."`
	Compact  bool          `help:"Merge small data files; --no-compact is for readers of the Parquet files that go around the tables' metadata." default:"true" negatable:""`
	LeaseTTL time.Duration `help:"How long a silent process keeps its jobs." default:"5s"`
}

// check refuses what would be unsafe.
func (f *serveFlags) check() error {
	if f.Auth != "open" {
		return nil
	}
	host, _, err := net.SplitHostPort(f.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q: host:port is expected", f.Listen)
	}
	if host == "localhost" {
		return nil
	}
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil || !a.IsLoopback() {
		return errors.New("--auth open lets everybody in and so listens on loopback only; use --auth token, or --listen 127.0.0.1:PORT")
	}
	return nil
}

type serveCmd struct {
	settings   `embed:""`
	serveFlags `embed:""`
}

// Run serves until the process is told to stop.
func (c *serveCmd) Run(a *app) error {
	log, err := logger(a.stderr, c.LogLevel, c.LogFormat)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" { // runs allocate next to nothing per record, so a smaller heap costs little
		debug.SetGCPercent(50)
	}
	p, err := openProgram(a.ctx, c.settings, c.serveFlags, log)
	if err != nil {
		return err
	}
	defer p.close()
	return p.run(a.ctx)
}

// failpoint reads WEIR_FAILPOINT=name[:n], which kills the process with SIGKILL when a run passes the named point for the nth time. It
// exists for crash tests: whoever can set the environment of a process can kill it anyway.
func failpoint() func(string) {
	want, count, _ := strings.Cut(os.Getenv("WEIR_FAILPOINT"), ":")
	if want == "" {
		return nil
	}
	n := 1
	if count != "" {
		_, _ = fmt.Sscanf(count, "%d", &n)
	}
	left := make(chan struct{}, n)
	for range n {
		left <- struct{}{}
	}
	return func(point string) {
		if point != want {
			return
		}
		<-left
		if len(left) == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
}
