// A link between two UDP ports with a rate, a delay, a queue that drops what does not fit, and chance loss. It stands in
// for netem, which many kernels lack.
//
// Usage: link LISTEN TO BITS_PER_SECOND DELAY LOSS
//
// Both directions have the same rate, delay (one way, such as 10ms) and loss (of 1). The queue holds what the link
// carries in a round trip. Datagrams that are lost by chance are the same in every run.
package main

import (
	"fmt"
	"math/rand"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// The bytes of Ethernet, IP and UDP around a datagram.
const overhead = 14 + 20 + 8

// Bytes that a socket may hold: trains of datagrams arrive at once.
const socketBuffer = 16 << 20

// The least that a queue holds, in bytes.
const smallestQueue = 64 << 10

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	rate, err := strconv.ParseFloat(args[2], 64)
	if err != nil {
		return err
	}
	delay, err := time.ParseDuration(args[3])
	if err != nil {
		return err
	}
	loss, err := strconv.ParseFloat(args[4], 64)
	if err != nil {
		return err
	}
	listen, err := net.ResolveUDPAddr("udp4", args[0])
	if err != nil {
		return err
	}
	to, err := net.ResolveUDPAddr("udp4", args[1])
	if err != nil {
		return err
	}
	front, err := net.ListenUDP("udp4", listen)
	if err != nil {
		return err
	}
	back, err := net.DialUDP("udp4", nil, to)
	if err != nil {
		return err
	}
	var asker atomic.Pointer[net.UDPAddr]
	out := newDirection(rate, delay, loss, 1, func(datagram []byte) { back.Write(datagram) })
	in := newDirection(rate, delay, loss, 2, func(datagram []byte) {
		if to := asker.Load(); to != nil {
			front.WriteToUDP(datagram, to)
		}
	})
	fmt.Println("ready")
	go receive(back, in, nil)
	receive(front, out, &asker)
	return nil
}

func receive(socket *net.UDPConn, direction *direction, asker *atomic.Pointer[net.UDPAddr]) {
	if raw, err := socket.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, socketBuffer)
		})
	}
	buffer := make([]byte, 65536)
	for {
		length, from, err := socket.ReadFromUDP(buffer)
		if err != nil {
			// The other end does not listen yet.
			continue
		}
		if asker != nil {
			asker.Store(from)
		}
		direction.accept(append([]byte(nil), buffer[:length]...))
	}
}

type waiting struct {
	datagram []byte
	due      time.Time
}

type direction struct {
	rate, loss float64
	delay      time.Duration
	queue      time.Duration
	random     *rand.Rand
	busyUntil  time.Time
	line       chan waiting
}

func newDirection(rate float64, delay time.Duration, loss float64, seed int64, send func([]byte)) *direction {
	bytes := max(smallestQueue, rate/8*2*delay.Seconds())
	direction := &direction{
		rate:   rate,
		loss:   loss,
		delay:  delay,
		queue:  time.Duration(bytes * 8 / rate * float64(time.Second)),
		random: rand.New(rand.NewSource(seed)),
		line:   make(chan waiting, 1<<16),
	}
	go func() {
		for next := range direction.line {
			time.Sleep(time.Until(next.due))
			send(next.datagram)
		}
	}()
	return direction
}

func (direction *direction) accept(datagram []byte) {
	now := time.Now()
	if direction.busyUntil.Before(now) {
		direction.busyUntil = now
	}
	if direction.busyUntil.Sub(now) > direction.queue || direction.random.Float64() < direction.loss {
		return
	}
	bits := float64(len(datagram)+overhead) * 8
	direction.busyUntil = direction.busyUntil.Add(time.Duration(bits / direction.rate * float64(time.Second)))
	direction.line <- waiting{datagram, direction.busyUntil.Add(direction.delay)}
}
