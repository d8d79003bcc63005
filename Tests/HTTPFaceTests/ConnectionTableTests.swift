import HTTPFace
import Testing

/// The bound of a port's connections, without connections.
@Suite struct ConnectionTableTests {
    /// A table with connections 1 to `count`, all idle since then, in this order.
    private func table(max: Int, idle count: Int) -> ConnectionTable {
        var table = ConnectionTable(max: max)
        for id in 1...count {
            _ = table.accepted(at: 0)
            table.becameIdle(id, at: 0)
        }
        return table
    }

    @Test func nothingIsClosedWhileThereIsRoom() {
        var table = table(max: 4, idle: 3)
        func next() -> Int? { table.nextToClose(at: 1) }
        #expect(table.hasRoom && next() == nil)
    }

    @Test func theLongestIdleIsClosedFirst() {
        var table = table(max: 4, idle: 3)
        func next() -> Int? { table.nextToClose(at: 1) }
        func accept() -> ConnectionTable.Notice? { table.accepted(at: 0) }
        func release() -> ConnectionTable.Notice? { table.released(at: 0) }
        table.becameBusy(1)
        table.becameIdle(1, at: 0)
        #expect(accept() == .full)
        table.becameIdle(4, at: 0)
        #expect(!table.hasRoom && next() == 2)
        // One is enough to have room, when it is closed.
        #expect(next() == nil)
        table.left(2)
        #expect(release() == nil && table.hasRoom && next() == nil)
        _ = table.accepted(at: 0)
        #expect(next() == 3)
    }

    /// A new connection's request is on its way: it is not closed at once for the next one.
    @Test func whatBecameIdleJustNowIsLeftAlone() {
        var table = table(max: 2, idle: 2)
        func next(_ now: Double) -> Int? { table.nextToClose(at: now) }
        #expect(next(0.4) == nil && table.mayCloseLater)
        table.becameBusy(1)
        #expect(next(0.4) == nil && next(0.6) == 2 && !table.mayCloseLater)
    }

    @Test func busyConnectionsAreLeftAlone() {
        var table = table(max: 3, idle: 3)
        func next() -> Int? { table.nextToClose(at: 1) }
        for id in 1...3 { table.becameBusy(id) }
        #expect(!table.hasRoom && next() == nil)
        // The first one that has nothing to do gives its room.
        table.becameIdle(2, at: 0)
        #expect(next() == 2)
    }

    /// A request that came before the connection could be closed keeps it, and another one is closed for it.
    @Test func aChosenConnectionMayBecomeBusy() {
        var table = table(max: 2, idle: 2)
        func next() -> Int? { table.nextToClose(at: 1) }
        #expect(next() == 1)
        table.becameBusy(1)
        #expect(next() == 2)
    }

    /// A flood that lasts, whose connections come and go as fast as they can: one line at its beginning, and one when
    /// there was room for a while.
    @Test func theLogHasALineForEachChangeOnly() {
        var table = ConnectionTable(max: 8)
        var notices: [ConnectionTable.Notice] = []
        var closed = 0
        var maxOpen = 0
        var now = 100.0
        for id in 1...10_000 {
            now += 0.001
            if let notice = table.accepted(at: now) { notices.append(notice) }
            table.becameIdle(id, at: now)
            while let id = table.nextToClose(at: now + 1) {
                closed += 1
                table.left(id)
                if let notice = table.released(at: now) { notices.append(notice) }
            }
            maxOpen = max(maxOpen, table.open)
            if id % 100 == 0 {
                while table.open > 0 { if let notice = table.released(at: now) { notices.append(notice) } }
            }
        }
        #expect(notices == [.full] && closed > 9000 && maxOpen < 8)
        _ = table.accepted(at: now + 5)
        #expect(notices == [.full])
        if let notice = table.released(at: now + 11) { notices.append(notice) }
        #expect(notices == [.full, .room(closed: closed)] && table.open == 0)
    }

    @Test func aLimitLeavesAReserve() {
        for descriptors in [0, 80, 256, 1024, 20_000, 1 << 20] {
            for cores in [1, 2, 128] {
                for ports in [1, 2] {
                    let allowance = ConnectionAllowance(descriptors: descriptors, cores: cores, ports: ports)
                    let taken = ports * allowance.connections
                    #expect(allowance.connections >= 8 && allowance.connections <= 8192)
                    #expect(
                        descriptors - taken >= 64 + 4 * cores || allowance.connections == 8,
                        "\(descriptors) descriptors, \(cores) cores, \(ports) ports")
                }
            }
        }
        #expect(ConnectionAllowance(descriptors: 1024, cores: 2, ports: 1).connections == 696)
        #expect(ConnectionAllowance(descriptors: 80, cores: 2, ports: 2).isTight)
        #expect(!ConnectionAllowance(descriptors: 1024, cores: 2, ports: 2).isTight)
    }
}
