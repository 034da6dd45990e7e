// Decodes standard input with the compression library that containerd, Talos and most of the Go world use: `klauspost zst|gz`.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func decoder(format string) (io.Reader, error) {
	if format == "gz" {
		return gzip.NewReader(os.Stdin)
	}
	return zstd.NewReader(os.Stdin)
}

func main() {
	reader, err := decoder(os.Args[1])
	if err == nil {
		_, err = io.Copy(os.Stdout, reader)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
