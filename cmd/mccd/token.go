package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mccd/mccd/cluster/admin"
	"github.com/mccd/mccd/cluster/state"
	"github.com/mccd/mccd/cmd/mccd/config"
)

// anyUses is what people write for a token that admits any number of nodes.
const anyUses = -1

func newToken(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke the tokens by which nodes join",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenCreate(environ), newTokenList(environ), newTokenRevoke(environ))
	return cmd
}

// tokenFlags are those of the commands that make a token.
type tokenFlags struct {
	ttl  string
	spec state.TokenSpec
}

func addTokenFlags(cmd *cobra.Command) *tokenFlags {
	f := &tokenFlags{}
	cmd.Flags().StringVar(&f.ttl, "ttl", "24h", "for how long it admits; 0 for ever")
	cmd.Flags().Int64Var(&f.spec.Uses, "uses", 1, "how many nodes it admits; -1 for any number")
	cmd.Flags().StringVar(&f.spec.Note, "note", "", "for what it is, for the list")
	return f
}

func (f *tokenFlags) read() error {
	ttl, err := config.ParseDuration(f.ttl)
	if err != nil || ttl < 0 {
		return exit(exitUsage, fmt.Errorf("--ttl %q: write a time such as 30m or 24h, or 0 for ever", f.ttl))
	}
	if f.spec.Uses < anyUses || f.spec.Uses == 0 {
		return exit(exitUsage, fmt.Errorf("--uses %d: write how many nodes it admits, or -1 for any number", f.spec.Uses))
	}
	f.spec.TTL = time.Duration(ttl)
	return nil
}

func newTokenCreate(environ []string) *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a token, and print the command that joins by it",
		Long: `Make a token that admits nodes to this cluster, and print the command to type at
the node that is to join. The cluster keeps only a digest of it: it is shown
this once. Whoever has it can become a node, so hand it on like a password.`,
		Example: `  mccd token create
  mccd token create --uses 5 --ttl 1h --note "rack 7"
  mccd token create --quiet > token`,
		Args: cobra.NoArgs,
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	t := addTokenFlags(cmd)
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print the token alone")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := t.read(); err != nil {
			return err
		}
		return withDaemon(cmd.Context(), flags, writeWait, func(ctx context.Context, client *admin.Client) error {
			token, info, err := client.CreateToken(ctx, t.spec)
			if err != nil {
				return err
			}
			if quiet {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
				return err
			}
			return printJoin(ctx, cmd.OutOrStdout(), client, token, info, "")
		})
	}
	return cmd
}

// printJoin prints a token and the command that joins by it, with extra flags.
func printJoin(ctx context.Context, out io.Writer, client *admin.Client, token string, info admin.Token, extra string) error {
	peer, remark := "PEER", "PEER is the address of any node of this cluster.\n"
	if addr := ownPeerAddr(ctx, client); addr != "" {
		peer, remark = addr, ""
		if host, _, err := net.SplitHostPort(addr); err == nil && net.ParseIP(host).IsLoopback() {
			remark = addr + " is this machine's own; from another one name an address\nthat it reaches (peer_advertise).\n"
		}
	}
	_, err := fmt.Fprintf(out, `Token %s admits %s, %s. It is shown only now:

  %s

At the node that is to join:

  MCCD_TOKEN=%s mccd join %s%s

%sWhere no daemon runs there yet, the same command starts one. To take the token
back: mccd token revoke %s
`, info.ID, admits(info.Uses), validity(info), token, token, peer, extra, remark, info.ID)
	return err
}

// ownPeerAddr returns where others reach the node that was asked, empty where
// it does not say.
func ownPeerAddr(ctx context.Context, client *admin.Client) string {
	s, err := client.Status(ctx)
	if err != nil {
		return ""
	}
	for _, n := range s.Nodes {
		if n.Self {
			return n.PeerAddr
		}
	}
	return ""
}

func admits(uses int64) string {
	switch uses {
	case anyUses:
		return "any number of nodes"
	case 1:
		return "1 node"
	default:
		return fmt.Sprintf("%d nodes", uses)
	}
}

func validity(t admin.Token) string {
	if t.Expires.IsZero() {
		return "for ever"
	}
	return "until " + t.Expires.UTC().Format("2006-01-02 15:04 MST")
}

func newTokenList(environ []string) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tokens, without their secrets",
		Example: `  mccd token list
  mccd token list --output json`,
		Args: cobra.NoArgs,
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	addOutput(cmd, &format)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(format); err != nil {
			return err
		}
		return withDaemon(cmd.Context(), flags, writeWait, func(ctx context.Context, client *admin.Client) error {
			tokens, err := client.Tokens(ctx)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), tokens)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), tokensTable(tokens, time.Now(), widthOf(cmd.OutOrStdout(), flags.getenv)))
			return err
		})
	}
	return cmd
}

func tokensTable(tokens []admin.Token, now time.Time, width int) string {
	if len(tokens) == 0 {
		return "There is no token; mccd token create makes one."
	}
	rows := make([][]string, len(tokens))
	for i, t := range tokens {
		left := fmt.Sprint(t.Uses)
		if t.Uses == anyUses {
			left = "any"
		}
		rows[i] = []string{t.ID, tokenState(t, now), left, fmt.Sprint(t.Admitted), validity(t), t.Note}
	}
	return fit(width, []column{{"Token", 0}, {"State", 0}, {"Admits", 0}, {"Admitted", 1}, {"Valid", 0}, {"Note", 2}}, rows)
}

func tokenState(t admin.Token, now time.Time) string {
	switch {
	case t.Revoked:
		return "revoked"
	case !t.Expires.IsZero() && now.After(t.Expires):
		return "expired"
	case t.Uses == 0:
		return "used up"
	default:
		return "valid"
	}
}

func newTokenRevoke(environ []string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Make a token useless",
		Long: `Make a token useless. ID is the short one that "mccd token list" shows, not the
token itself. Nodes that joined by it stay.`,
		Example: `  mccd token revoke 0badcafe`,
		Args:    cobra.ExactArgs(1),
	}
	flags := addSettings(cmd, environ, "data_dir", "admin_socket")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id := args[0]
		if strings.HasPrefix(id, "MCCD1-") {
			return exit(exitUsage, fmt.Errorf("this is a token itself, now in the list of processes: name its id (mccd token list)"))
		}
		return withDaemon(cmd.Context(), flags, writeWait, func(ctx context.Context, client *admin.Client) error {
			if err := client.RevokeToken(ctx, id); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "Token %s admits nobody any more.\n", id)
			return err
		})
	}
	return cmd
}
