// Forwards TCP ports of loopback into a tunnel that ends in gVisor's stack, as wireguard-go's own netstack package makes
// one. wireproxy is built on the same package. `deno task bench:proxy` measures it beside `wgd proxy`.
//
// Usage: netstack CONFIG ADDRESS LOCAL=REMOTE [LOCAL=REMOTE ...]
//
// CONFIG holds the lines of UAPI's set request. ADDRESS is the tunnel's own.
package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/netstack"
)

const mtu = 1420

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(file, own string, forwards []string) error {
	config, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	address, err := netip.ParseAddr(own)
	if err != nil {
		return err
	}
	tun, stack, err := netstack.CreateNetTUN([]netip.Addr{address}, nil, mtu)
	if err != nil {
		return err
	}
	dev := device.NewDevice(tun, conn.NewDefaultBind(), device.NewLogger(device.LogLevelError, ""))
	if err := dev.IpcSet(string(config)); err != nil {
		return err
	}
	if err := dev.Up(); err != nil {
		return err
	}
	for _, forward := range forwards {
		local, remote, _ := strings.Cut(forward, "=")
		listener, err := net.Listen("tcp", local)
		if err != nil {
			return err
		}
		go serve(listener, stack, remote)
	}
	fmt.Println("ready")
	select {}
}

func serve(listener net.Listener, stack *netstack.Net, remote string) {
	for {
		program, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer program.Close()
			far, err := stack.Dial("tcp", remote)
			if err != nil {
				return
			}
			defer far.Close()
			done := make(chan struct{})
			go func() {
				io.Copy(far, program)
				far.(interface{ CloseWrite() error }).CloseWrite()
				close(done)
			}()
			io.Copy(program, far)
			program.(*net.TCPConn).CloseWrite()
			<-done
		}()
	}
}
