import DequeModule

/// The connections of one port: how many there are, which of them have nothing under way, and which is to be closed
/// when another one needs its room. Pure.
package struct ConnectionTable: Sendable {
    /// What a change is worth a line in the log.
    package enum Notice: Sendable, Equatable {
        /// There is no room left.
        case full
        /// There is room again; so many idle connections were closed meanwhile.
        case room(closed: Int)
    }

    /// The connections at most.
    package let max: Int
    /// The accepted connections that are not closed yet.
    package private(set) var open = 0
    /// The connections without a request, with the number of the moment since when.
    private var idleSince: [Int: Int] = [:]
    /// The same, the longest idle first; entries that do not agree with `idleSince` are void.
    private var order: Deque<(id: Int, moment: Int, since: Double)> = []
    private var moment = 0
    /// The connections that were chosen to be closed.
    private var closing: Set<Int> = []
    private var isFull = false
    /// When all room was taken last.
    private var lastFull = 0.0
    /// Seconds for which an idle connection is left alone: a new one's request is on its way, with the handshakes
    /// before it, and a client that has just been answered asks again.
    private static let grace = 0.5
    /// Seconds without that after which there is room again: the log has no more lines, however fast connections come
    /// and go.
    private static let calm = 10.0
    private var closedIdle = 0

    /// - Parameter max: the connections at most, at least 1.
    package init(max: Int) { self.max = Swift.max(1, max) }

    /// Whether an idle connection can be closed for another one if it is still idle a little later.
    package var mayCloseLater: Bool { open - closing.count >= max && !idleSince.isEmpty }

    /// Whether another connection may be accepted.
    package var hasRoom: Bool { open < max }

    /// A connection was accepted.
    ///
    /// - Parameter now: seconds of a monotonic clock.
    package mutating func accepted(at now: Double) -> Notice? {
        open += 1
        return notice(now)
    }

    /// A connection was closed.
    ///
    /// - Parameter now: seconds of a monotonic clock.
    package mutating func released(at now: Double) -> Notice? {
        open -= 1
        return notice(now)
    }

    private mutating func notice(_ now: Double) -> Notice? {
        if !hasRoom {
            lastFull = now
            guard !isFull else { return nil }
            (isFull, closedIdle) = (true, 0)
            return .full
        }
        guard isFull, now - lastFull >= Self.calm else { return nil }
        isFull = false
        return .room(closed: closedIdle)
    }

    /// A connection has no request under way, as at its beginning.
    ///
    /// - Parameter now: seconds of a monotonic clock.
    package mutating func becameIdle(_ id: Int, at now: Double) {
        moment += 1
        idleSince[id] = moment
        order.append((id, moment, now))
        if order.count > 2 * idleSince.count + 16 { order.removeAll { idleSince[$0.id] != $0.moment } }
    }

    /// A connection has a request under way.
    package mutating func becameBusy(_ id: Int) {
        idleSince[id] = nil
        closing.remove(id)
    }

    /// A connection is gone.
    package mutating func left(_ id: Int) { becameBusy(id) }

    /// The connection to be closed now, the one that has been idle for longest: one at a time for each that is
    /// missing to have room. Nil where there is room, or where nothing has been idle for half a second.
    ///
    /// - Parameter now: seconds of a monotonic clock.
    package mutating func nextToClose(at now: Double) -> Int? {
        guard open - closing.count >= max else { return nil }
        while let (id, moment, since) = order.first {
            guard idleSince[id] != moment || now - since >= Self.grace else { return nil }
            order.removeFirst()
            guard idleSince[id] == moment else { continue }
            idleSince[id] = nil
            closing.insert(id)
            closedIdle += 1
            return id
        }
        return nil
    }
}
