// Command system tests berth's Debian package on a whole machine: it boots Debian
// with systemd in virtual machines, installs the package of scripts/release.sh there,
// and checks the units, containers, an upgrade, a reboot and a removal.
//
//	go run ./test/system                           # Debian 13, all steps; Debian 12, the units
//	go run ./test/system -suite trixie -run 'boot|install'
//	go run ./test/system -long                     # leases of DHCP over a suspension and a reboot too
//	go run ./test/system -suite forky              # docker's networks, with docker as a service
//
// The machines of several suites run at once. A machine has two disks: a Debian tree of
// package test/tree as an ext4 image, which no run changes, and a disk with two versions of
// the package and the guest program (test/system/guest). The guest program runs its steps
// in order, continues after a reboot, and reports on the second serial line; the first has
// the console. Two network cards on one hub form the LAN: one is the parent, the other is
// in a network namespace and acts as the LAN's other end. A veth pair forms another one, with
// a DHCP server.
//
// The exit status is 0 if all steps pass, 1 if some do not, and 2 if they could not be
// run.
package main
