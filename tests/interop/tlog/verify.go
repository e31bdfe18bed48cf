// Verify checks what ledger_dump wrote with Go's implementation of
// transparency logs, the one behind sum.golang.org: it shares no code with
// ours.
//
//	verify DIR
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

type mirror struct{ dir string }

func (m mirror) read(name string) []byte {
	data, err := os.ReadFile(filepath.Join(m.dir, filepath.FromSlash(name)))
	check(err)
	return data
}

// numbered reads the proofs in a folder, by the number in their names.
func (m mirror) numbered(folder string) map[int64][]tlog.Hash {
	files, err := os.ReadDir(filepath.Join(m.dir, folder))
	check(err)
	proofs := map[int64][]tlog.Hash{}
	for _, file := range files {
		n, err := strconv.ParseInt(file.Name(), 10, 64)
		check(err)
		var hashes []tlog.Hash
		for _, line := range strings.Fields(string(m.read(folder + "/" + file.Name()))) {
			hash, err := tlog.ParseHash(line)
			check(err)
			hashes = append(hashes, hash)
		}
		proofs[n] = hashes
	}
	if len(proofs) == 0 {
		fail("no proofs in %s", folder)
	}
	return proofs
}

// Mirror is a tlog.TileReader: tlog authenticates every tile that it hands
// out against the tree that was signed.
func (m mirror) Height() int                                { return tileHeight }
func (m mirror) SaveTiles(tiles []tlog.Tile, data [][]byte) {}
func (m mirror) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		// "tile/8/LEVEL/…" there, "tile/LEVEL/…" in C2SP tlog-tiles.
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		all = append(all, m.read(path))
	}
	return all, nil
}

// checkpoint verifies a signed note and parses the tree head in it.
func (m mirror) checkpoint(name string) tlog.Tree {
	verifier, err := note.NewVerifier(string(m.read("ledger.vkey")))
	check(err)
	opened, err := note.Open(m.read(name), note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" || lines[0] != verifier.Name() {
		fail("%s is not a checkpoint: %q", name, opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	tree := tlog.Tree{N: size}
	if copy(tree.Hash[:], root) != tlog.HashSize || len(root) != tlog.HashSize {
		fail("%s has a root of %d bytes", name, len(root))
	}
	return tree
}

// entries reads all entries out of their bundles.
func (m mirror) entries(size int64) [][]byte {
	var entries [][]byte
	for int64(len(entries)) < size {
		index := int64(len(entries)) / 256
		tile := tlog.Tile{H: tileHeight, L: -1, N: index, W: 256}
		if rest := size - index*256; rest < 256 {
			tile.W = int(rest)
		}
		path := "tile/entries/" + strings.TrimPrefix(tile.Path(), "tile/8/data/")
		reader := bytes.NewReader(m.read(path))
		for i := 0; i < tile.W; i++ {
			var length uint16
			check(binary.Read(reader, binary.BigEndian, &length))
			entry := make([]byte, length)
			if n, _ := reader.Read(entry); n != int(length) {
				fail("%s is cut", path)
			}
			entries = append(entries, entry)
		}
		if reader.Len() != 0 {
			fail("%s has %d bytes left over", path, reader.Len())
		}
	}
	return entries
}

// records checks every entry against the leaf hashes in the tiles, which
// tlog checks against the signed root.
func (m mirror) records(tree tlog.Tree) [][]byte {
	entries := m.entries(tree.N)
	reader := tlog.TileHashReader(tree, m)
	indexes := make([]int64, tree.N)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, int64(i))
	}
	hashes, err := reader.ReadHashes(indexes)
	check(err)
	for i, entry := range entries {
		if tlog.RecordHash(entry) != hashes[i] {
			fail("entry %d is not the one in the tiles", i)
		}
	}
	return entries
}

func (m mirror) proofs(tree tlog.Tree, entries [][]byte) {
	reader := tlog.TileHashReader(tree, m)
	for index, proof := range m.numbered("inclusion") {
		leaf := tlog.RecordHash(entries[index])
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf))
		own, err := tlog.ProveRecord(tree.N, index, reader)
		check(err)
		same("inclusion", index, proof, own)
	}
	for size, proof := range m.numbered("consistency") {
		root, err := tlog.TreeHash(size, reader)
		check(err)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, size, root))
		own, err := tlog.ProveTree(tree.N, size, reader)
		check(err)
		same("consistency", size, proof, own)
	}
}

func same(kind string, n int64, ours, theirs []tlog.Hash) {
	if fmt.Sprint(ours) != fmt.Sprint(theirs) {
		fail("%s proof %d differs from the one that tlog makes", kind, n)
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "verify: "+format+"\n", arguments...)
	os.Exit(1)
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: verify DIR")
		os.Exit(2)
	}
	m := mirror{os.Args[1]}
	tree, old := m.checkpoint("checkpoint"), m.checkpoint("checkpoint.old")
	entries := m.records(tree)
	m.proofs(tree, entries)
	root, err := tlog.TreeHash(old.N, tlog.TileHashReader(tree, m))
	check(err)
	if root != old.Hash {
		fail("the old checkpoint is of another tree")
	}
	fmt.Printf("%d entries, two checkpoints and all proofs hold\n", tree.N)
}
