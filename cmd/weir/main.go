// Command weir is the whole platform in one binary: API, scheduler and workers (weir serve), and the tools around them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the build.
var version = "dev"

// commands is the command line.
type commands struct {
	Config  kong.ConfigFlag  `help:"JSON file with flag values, for example {\"serve\":{\"listen\":\"127.0.0.1:8080\"}}." type:"path" env:"WEIR_CONFIG"`
	Version kong.VersionFlag `help:"Print the version."`
	Profile string           `help:"Write a processor profile of this command to a file (go tool pprof)." type:"path" hidden:""`

	Serve serveCmd `cmd:"" help:"Run everything in one process: API, scheduler, workers."`
	Token tokenCmd `cmd:"" help:"Print an access token."`
	Org   orgCmd   `cmd:"" help:"Manage organisations."`
	Demo  demoCmd  `cmd:"" help:"Run the whole journey against a local paginated source."`
	Films filmsCmd `cmd:"" help:"Serve the source of the demo: a small REST API with 13,389 films."`
	Map   mapCmd   `cmd:"" help:"Run an expression or a mapping set over records."`
	Spec  specCmd  `cmd:"" help:"Check, try, prove and import connection specs."`

	Replay replayCmd `cmd:"" help:"Take the rejected rows of a batch or run through the mapping set again, once."`
}

// app is what every command gets.
type app struct {
	ctx    context.Context //nolint:containedctx // kong binds values, and the context of the process is one
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	environ
}

// environ is the process environment, replaceable in tests.
type environ func(string) string

// exitError ends the process with a code other than 1; its text has been printed already.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	parser, err := kong.New(&c,
		kong.Name("weir"),
		kong.Description("Self-hosted data ingestion that speaks the Adobe Experience Platform source APIs."),
		kong.Configuration(kong.JSON),
		kong.DefaultEnvars("WEIR"),
		kong.UsageOnError(),
		kong.Vars{"version": version},
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	kctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "weir: "+err.Error())
		return 2
	}
	a := &app{ctx: ctx, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Getenv}
	err = c.profiled(func() error { return kctx.Run(a) })
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	}
	fmt.Fprintln(os.Stderr, "weir: "+err.Error())
	return 1
}

// profiled runs the command, under the profiler if that is asked for.
func (c *commands) profiled(run func() error) error {
	if c.Profile == "" {
		return run()
	}
	f, err := os.Create(c.Profile)
	if err != nil {
		return fmt.Errorf("--profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return errors.Join(fmt.Errorf("--profile: %w", err), f.Close())
	}
	err = run()
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}

// logger makes the process's structured log.
func logger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: use debug, info, warn or error", level)
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return slog.New(slog.NewTextHandler(w, opts)), nil
}
