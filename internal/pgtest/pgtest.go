// Package pgtest runs a throw-away PostgreSQL server for tests, from the server programs that the operating system's packages install.
package pgtest

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the database/sql driver "pgx"
)

// ErrMissing says that this machine has no PostgreSQL server programs. Install them to run these tests too: apt-get install postgresql.
var ErrMissing = errors.New("no PostgreSQL server programs (initdb, postgres) in PATH or /usr/lib/postgresql/*/bin: apt-get install postgresql")

// Server is a running server that trusts everybody on a loopback port of its own.
type Server struct {
	dir   string
	port  int
	cmd   *exec.Cmd
	ended chan struct{}
	next  atomic.Int64
}

// startTimeout bounds how long a server may take until it accepts connections.
const startTimeout = time.Minute

// Start makes an empty cluster in a temporary folder and starts a server on it. As root, both run as the user postgres, since the server
// refuses to run as root. The caller stops it.
func Start() (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "weir-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err := s.start(bin); err != nil {
		_ = os.RemoveAll(dir) // the failure to start is the one to report
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	return s, nil
}

// Main is the body of a TestMain whose tests share one server: it hands the server, or nil and the reason why there is none, to use, runs
// the tests and stops the server.
func Main(m *testing.M, use func(*Server, error)) int {
	s, err := Start()
	use(s, err)
	code := m.Run()
	if s != nil {
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
		}
	}
	return code
}

func programs() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	version := func(dir string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir))) // 0 for none
		return n
	}
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir, nil
		}
	}
	return "", ErrMissing
}

func (s *Server) start(bin string) error {
	attr, err := attributes(s.dir)
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	init := exec.CommandContext(context.Background(), filepath.Join(bin, "initdb"), "-D", data, "-U", "weir", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	init.SysProcAttr, init.Dir = attr, s.dir
	if out, err := init.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if s.port, err = freePort(); err != nil {
		return err
	}
	s.cmd = exec.CommandContext(context.Background(), filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(s.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200",
		// The tests are about processes that die, not about power cuts.
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off", "-c", "shared_buffers=64MB")
	s.cmd.SysProcAttr, s.cmd.Dir = attr, s.dir
	log, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.ended = make(chan struct{})
	return s.waitReady(log)
}

// waitReady reads the server's log until it accepts connections, and goes on reading so that the server never waits for a reader.
func (s *Server) waitReady(log io.Reader) error {
	ready := make(chan error, 1)
	go func() {
		defer close(s.ended)
		var seen strings.Builder
		accepts := false
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if accepts {
				continue
			}
			seen.WriteString(lines.Text() + "\n")
			if accepts = strings.Contains(lines.Text(), "ready to accept connections"); accepts {
				ready <- nil
			}
		}
		if !accepts {
			ready <- errors.New("the server ended:\n" + seen.String())
		}
	}()
	select {
	case err := <-ready:
		return err
	case <-time.After(startTimeout):
		return errors.Join(errors.New("the server did not become ready"), s.cmd.Process.Kill())
	}
}

// Stop ends the server, without waiting for its clients, and removes the cluster.
func (s *Server) Stop() error {
	err := s.cmd.Process.Signal(syscall.SIGQUIT)
	<-s.ended
	_ = s.cmd.Wait() // it says that the server was told to quit
	return errors.Join(err, os.RemoveAll(s.dir))
}

// URL is the address of a database of the server.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://weir@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// Database makes an empty database and returns its URL.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name := "weir" + strconv.FormatInt(s.next.Add(1), 10)
	db, err := sql.Open("pgx", s.URL("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }() // nothing is left to be written
	if _, err := db.ExecContext(context.Background(), "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		tb.Fatalf("create database: %v", err)
	}
	return s.URL(name)
}

func freePort() (int, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("listening on %s", l.Addr())
	}
	return addr.Port, l.Close()
}

// attributes are those of the server's process. As root, the folder is given to the user that the server runs as.
func attributes(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{}
	dieWithParent(attr)
	if os.Getuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("running as root, and there is no user to run the server as: %w", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // ids of the system
	return attr, os.Chown(dir, uid, gid)
}
