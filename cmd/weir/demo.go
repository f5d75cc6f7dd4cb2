package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"weir/client"
)

// demoCmd runs the whole journey against a local paginated source.
type demoCmd struct {
	Data   string `help:"Folder of the demo; what an earlier demo left there is removed." default:"demo/data" type:"path"`
	Listen string `help:"Address of the demo's server." default:"127.0.0.1:8787"`
	Host   bool   `help:"Be the demo's server (used by the demo itself)." hidden:""`
	Stop   bool   `help:"Stop the server that an earlier demo left running."`
}

// demoMark is a file that says that a folder belongs to the demo and may be removed by it.
const demoMark = ".weir-demo"

// Run starts a server in the background, performs the journey through its HTTP API and leaves it running.
func (c *demoCmd) Run(a *app) error {
	switch {
	case c.Host:
		return c.host(a)
	case c.Stop:
		return c.stop(a.ctx)
	}
	begun := time.Now()
	say := newScreen(a.stdout)
	if err := c.stop(a.ctx); err != nil {
		return err
	}
	if err := c.clear(); err != nil {
		return err
	}
	pid, err := c.start()
	if err != nil {
		return err
	}
	j := &journey{ctx: a.ctx, screen: say, dir: c.Data, api: client.Client{Base: "http://" + c.Listen}}
	if err := j.travel(); err != nil {
		return errors.Join(err, fmt.Errorf("the server's log is %s", filepath.Join(c.Data, "weir.log")))
	}
	say.title("Done in " + time.Since(begun).Round(100*time.Millisecond).String())
	say.line("  API        http://%s  (token: bin/weir token --data %s)", c.Listen, rel(c.Data))
	say.line("  log        %s", rel(filepath.Join(c.Data, "weir.log")))
	say.line("  stop it    kill %d", pid)
	return nil
}

func rel(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if r, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(r, "..") {
		return r
	}
	return path
}

// clear removes an earlier demo's folder; it refuses a folder that holds anything else.
func (c *demoCmd) clear() error {
	entries, err := os.ReadDir(c.Data)
	if err == nil && len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(c.Data, demoMark)); err != nil {
			return fmt.Errorf("%s holds something that no demo has made; name another folder with --data", c.Data)
		}
		if err := os.RemoveAll(c.Data); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.Data, demoMark), nil, 0o600)
}

// start runs this binary again as the demo's server, detached from the terminal.
func (c *demoCmd) start() (pid int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	log, err := os.Create(filepath.Join(c.Data, "weir.log"))
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd := exec.Command(self, "demo", "--host", "--data", c.Data, "--listen", c.Listen) //nolint:noctx // it outlives this process on purpose
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start the demo's server: %w", err)
	}
	pid = cmd.Process.Pid
	if err := os.WriteFile(filepath.Join(c.Data, "demo.pid"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		return pid, err
	}
	return pid, cmd.Process.Release()
}

// stop ends the server of an earlier demo in this folder and waits until its port is free.
func (c *demoCmd) stop(ctx context.Context) error {
	raw, err := os.ReadFile(filepath.Join(c.Data, "demo.pid"))
	if err != nil {
		return nil //nolint:nilerr // no earlier demo
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || !isDemo(pid, c.Data) {
		return nil //nolint:nilerr // the process is long gone
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the earlier demo (process %d): %w", pid, err)
	}
	for deadline := time.Now().Add(30 * time.Second); isDemo(pid, c.Data); {
		if time.Now().After(deadline) {
			return fmt.Errorf("the earlier demo (process %d) does not stop", pid)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// isDemo reports whether the process is a demo server of this folder: process ids are used again.
func isDemo(pid int, dir string) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil { // no /proc: trust the pid file
		return !errors.Is(err, os.ErrNotExist) || !dirExists("/proc/self")
	}
	line := strings.ReplaceAll(string(args), "\x00", " ")
	return strings.Contains(line, "demo --host") && strings.Contains(line, dir)
}

func dirExists(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// host is the demo's server: Weir and the source it reads, in one process.
func (c *demoCmd) host(a *app) error {
	log, err := logger(a.stderr, "info", "text")
	if err != nil {
		return err
	}
	src, err := newFilmSource(a.ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer src.Close()
	if err := os.WriteFile(filepath.Join(c.Data, "source.url"), []byte(src.URL), 0o600); err != nil {
		return err
	}
	p, err := openProgram(a.ctx, settings{Data: c.Data}, serveFlags{
		Listen: c.Listen, Auth: "token", AllowPrivateSources: []string{"127.0.0.0/8"}, Workers: 2,
	}, log)
	if err != nil {
		return err
	}
	defer p.close()
	return p.run(a.ctx)
}

// screen prints what a person sees: colour and progress in a terminal, plain lines elsewhere.
type screen struct {
	w     io.Writer
	live  bool
	begun time.Time
}

func newScreen(w io.Writer) *screen {
	s := &screen{w: w, begun: time.Now()}
	if f, ok := w.(*os.File); ok && os.Getenv("NO_COLOR") == "" {
		st, err := f.Stat()
		s.live = err == nil && st.Mode()&os.ModeCharDevice != 0
	}
	return s
}

func (s *screen) paint(code, text string) string {
	if !s.live {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *screen) line(format string, args ...any) { _, _ = fmt.Fprintf(s.w, format+"\n", args...) }

func (s *screen) title(text string) { s.line("\n%s", s.paint("1", text)) }

// step prints one finished step.
func (s *screen) step(what, detail string) {
	s.erase()
	s.line("%s %-34s %s", s.paint("32", "✓"), what, s.paint("2", detail))
}

// progress shows a passing line in a terminal; nothing elsewhere.
func (s *screen) progress(format string, args ...any) {
	if s.live {
		_, _ = fmt.Fprintf(s.w, "\r\x1b[K… "+format, args...)
	}
}

func (s *screen) erase() {
	if s.live {
		_, _ = io.WriteString(s.w, "\r\x1b[K")
	}
}

// table prints rows in aligned columns; the first row is the head.
func (s *screen) table(rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for n, r := range rows {
		var b strings.Builder
		for i, cell := range r {
			b.WriteString("  " + cell + strings.Repeat(" ", width[i]-len([]rune(cell))))
		}
		text := strings.TrimRight(b.String(), " ")
		if n == 0 {
			text = s.paint("1", text)
		}
		s.line("%s", text)
	}
}

// cut shortens text to n runes.
func cut(text string, n int) string {
	r := []rune(text)
	if len(r) <= n {
		return text
	}
	return string(r[:n-1]) + "…"
}

// ready waits until the server answers its health check.
func ready(ctx context.Context, base string) error {
	hc := &http.Client{Timeout: time.Second}
	for deadline := time.Now().Add(30 * time.Second); ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
		if err != nil {
			return err
		}
		if res, err := hc.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not answer", base)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
