package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"weir"
)

// masterKeyLen is the length of the master key: AES-256.
const masterKeyLen = 32

// keysetData binds the sealed keyset to its use.
const keysetData = "weir keyset"

// keyring seals and opens secrets with a keyset that is stored next to them, itself sealed with the master key. So the master key can be
// kept outside of the database, and data keys can be replaced without touching a single document.
type keyring struct {
	master tink.AEAD
	now    atomic.Pointer[keysNow]
}

type keysNow struct {
	version int64
	aead    tink.AEAD
	handle  *keyset.Handle
}

// LoadOrCreateKey reads the 32-byte master key from a file of 64 hex digits, or makes a new key and the file (mode 0600) if there is none.
func LoadOrCreateKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != masterKeyLen {
		return nil, fmt.Errorf("master key: %s does not hold %d hex digits", path, 2*masterKeyLen)
	}
	return key, nil
}

func createKey(path string) ([]byte, error) {
	key := make([]byte, masterKeyLen)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	text := []byte(hex.EncodeToString(key) + "\n")
	err := writeOnce(path, text)
	if errors.Is(err, fs.ErrExist) {
		return LoadOrCreateKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return key, nil
}

// writeOnce makes a file of mode 0600, or fails with [fs.ErrExist]. It is written whole under another name, then linked: a process that
// starts at the same time finds no file or a complete one.
func writeOnce(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // the link stays
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	err = os.Link(f.Name(), path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without links: the file is made in place.
	f, err = os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// openKeys loads the keyset, or makes the first one.
func (s *Store) openKeys(ctx context.Context, masterKey []byte) error {
	master, err := subtle.NewAESGCM(masterKey)
	if err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	s.keys = &keyring{master: master}
	return s.Tx(ctx, func(tx *Tx) error {
		err := tx.loadKeys()
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
		if err != nil {
			return fmt.Errorf("new keyset: %w", err)
		}
		if err := tx.saveKeys(handle, 1); err != nil {
			return err
		}
		return tx.loadKeys()
	})
}

// loadKeys reads the keyset that is stored now; sql.ErrNoRows if there is none.
func (tx *Tx) loadKeys() error {
	k := tx.s.keys
	var version int64
	var sealed []byte
	if err := tx.row("SELECT version, sealed FROM keyset WHERE id = 1", nil, &version, &sealed); err != nil {
		return fmt.Errorf("read keyset: %w", err)
	}
	handle, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(sealed)), k.master, []byte(keysetData))
	if err != nil {
		return errors.New("the master key does not open this database's keyset: start with the key that the database was created with")
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return fmt.Errorf("keyset: %w", err)
	}
	k.now.Store(&keysNow{version: version, aead: primitive, handle: handle})
	return nil
}

func (tx *Tx) saveKeys(handle *keyset.Handle, version int64) error {
	var buf bytes.Buffer
	if err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&buf), tx.s.keys.master, []byte(keysetData)); err != nil {
		return fmt.Errorf("seal keyset: %w", err)
	}
	n, err := tx.exec(`INSERT INTO keyset (id, version, sealed) VALUES (1, $1, $2)
		ON CONFLICT (id) DO UPDATE SET version = excluded.version, sealed = excluded.sealed WHERE keyset.version = excluded.version - 1`,
		version, buf.Bytes())
	if err != nil {
		return fmt.Errorf("write keyset: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("write keyset: %w", weir.ErrConflict)
	}
	return nil
}

// RotateKey adds a data key and seals with it from now on. What older keys sealed stays readable; processes that are running learn of
// the new key when they meet it.
func (s *Store) RotateKey(ctx context.Context) error {
	err := s.Tx(ctx, func(tx *Tx) error {
		if err := tx.loadKeys(); err != nil {
			return err
		}
		now := s.keys.now.Load()
		manager := keyset.NewManagerFromHandle(now.handle)
		id, err := manager.Add(aead.AES256GCMKeyTemplate())
		if err != nil {
			return err
		}
		if err := manager.SetPrimary(id); err != nil {
			return err
		}
		handle, err := manager.Handle()
		if err != nil {
			return err
		}
		return tx.saveKeys(handle, now.version+1)
	})
	if err == nil {
		err = s.View(ctx, (*Tx).loadKeys)
	}
	if err != nil {
		return fmt.Errorf("rotate key: %w", err)
	}
	return nil
}

// associated binds a sealed secret to its document: copied into another row it does not open.
func associated(d *weir.Doc) []byte {
	return []byte(d.Scope.Org + "\x00" + d.Kind + "\x00" + d.ID)
}

func (k *keyring) seal(d *weir.Doc, plain []byte) ([]byte, error) {
	sealed, err := k.now.Load().aead.Encrypt(plain, associated(d))
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// unseal opens a secret, with the keyset read again if the one in memory is older than the secret.
func (tx *Tx) unseal(d *weir.Doc, sealed []byte) ([]byte, error) {
	before := tx.s.keys.now.Load()
	plain, err := before.aead.Decrypt(sealed, associated(d))
	if err == nil {
		return plain, nil
	}
	if err := tx.loadKeys(); err != nil {
		return nil, err
	}
	if now := tx.s.keys.now.Load(); now.version != before.version {
		plain, err = now.aead.Decrypt(sealed, associated(d))
	}
	if err != nil {
		return nil, fmt.Errorf("unseal: %w", err)
	}
	return plain, nil
}
