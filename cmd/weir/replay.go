package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"weir"
	"weir/api"
	"weir/client"
	"weir/flow"
)

// replayCmd takes the rejected rows of a batch through a mapping set again.
type replayCmd struct {
	ID             string `arg:"" help:"The batch whose rejected rows are replayed, or the run that wrote it."`
	MappingVersion int64  `help:"Version of the mapping set. Default: the one that the flow names."`
	URL            string `help:"Address of the server." default:"http://127.0.0.1:8080"`
	Data           string `help:"Folder with the credentials.json of the server's first start." default:"data" type:"path"`
	Sandbox        string `help:"Sandbox. Default: that of the credential."`
	Wait           bool   `help:"Wait for the end of the run." default:"true" negatable:""`
}

// batchIDLength tells a batch's id from a run's.
const batchIDLength = 26

// Run starts the replay, waits for its end and prints what became of the rows. It fails if the run fails.
func (c *replayCmd) Run(a *app) error {
	cl, err := c.client(a)
	if err != nil {
		return err
	}
	address := flowServicePath + "/runs/" + url.PathEscape(c.ID) + "/action?op=REPLAY"
	if len(c.ID) == batchIDLength {
		address = "/data/foundation/import/batches/" + url.PathEscape(c.ID) + "?action=REPLAY"
	}
	if c.MappingVersion > 0 {
		address += fmt.Sprintf("&mappingVersion=%d", c.MappingVersion)
	}
	var started struct {
		ID string `json:"id"`
	}
	if _, err := cl.Do(a.ctx, http.MethodPost, address, nil, nil, &started); err != nil {
		return err
	}
	if !c.Wait {
		_, err := fmt.Fprintln(a.stdout, "run", started.ID)
		return err
	}
	for {
		var page struct {
			Items []weir.Run `json:"items"`
		}
		if _, err := cl.Do(a.ctx, http.MethodGet, flowServicePath+"/runs/"+started.ID, nil, nil, &page); err != nil {
			return err
		}
		if len(page.Items) != 1 {
			return fmt.Errorf("run %s is gone", started.ID)
		}
		run := &page.Items[0]
		switch m := run.Metrics; m.Status.Status {
		case weir.RunSuccess:
			_, err := fmt.Fprintf(a.stdout, "run %s: %d rows replayed, %d ingested as batch %s, %d rejected again\n",
				started.ID, m.Records.Input, m.Records.Output, flow.BatchOf(run), m.Records.Failed)
			return err
		case weir.RunFailed:
			why := "it failed"
			if len(m.Status.Errors) > 0 {
				why = m.Status.Errors[0].Message
			}
			return fmt.Errorf("run %s: %s", started.ID, why)
		}
		if err := pause(a.ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// client is one that is logged in with the credential of the data folder.
func (c *replayCmd) client(a *app) (*client.Client, error) {
	raw, err := os.ReadFile(filepath.Join(c.Data, "credentials.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no credentials.json: name the server's data folder with --data", c.Data)
	}
	if err != nil {
		return nil, err
	}
	var cred api.Credentials
	if err := json.Unmarshal(raw, &cred); err != nil {
		return nil, fmt.Errorf("read credentials.json: %w", err)
	}
	cl := &client.Client{Base: c.URL, Org: cred.OrgID, Sandbox: cred.Sandbox}
	if c.Sandbox != "" {
		cl.Sandbox = c.Sandbox
	}
	return cl, cl.Login(a.ctx, cred.ClientID, cred.ClientSecret)
}
