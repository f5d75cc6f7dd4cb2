package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"weir/api"
)

type tokenCmd struct {
	settings `embed:""`
}

// Run prints an access token for the credential of the data folder, whether the server runs or not.
func (c *tokenCmd) Run(a *app) error {
	log, err := logger(a.stderr, "warn", c.LogFormat)
	if err != nil {
		return err
	}
	id := c.ClientID
	if id == "" {
		raw, err := os.ReadFile(filepath.Join(c.Data, "credentials.json"))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s has no credentials.json: start the server once (weir serve --data %s), or name a client with --client-id", c.Data, c.Data)
		}
		if err != nil {
			return err
		}
		var cred api.Credentials
		if err := json.Unmarshal(raw, &cred); err != nil {
			return fmt.Errorf("read credentials.json: %w", err)
		}
		id = cred.ClientID
	}
	st, err := openStore(a.ctx, &c.settings, log)
	if err != nil {
		return err
	}
	defer st.Close()
	token, err := api.IssueToken(a.ctx, st, id)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.stdout, token)
	return err
}

type orgCmd struct {
	Create orgCreateCmd `cmd:"" help:"Make an organisation with its own tenant namespace, sandbox and credential; print the credential."`
}

type orgCreateCmd struct {
	settings `embed:""`
	Name     string `arg:"" help:"Name; the tenant namespace is made from it."`
}

// Run makes an organisation, whether the server runs or not.
func (c *orgCreateCmd) Run(a *app) error {
	log, err := logger(a.stderr, "warn", c.LogFormat)
	if err != nil {
		return err
	}
	st, err := openStore(a.ctx, &c.settings, log)
	if err != nil {
		return err
	}
	defer st.Close()
	cred, err := api.CreateOrg(a.ctx, st, c.Name)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(cred)
}
