/// Where the messages of an XRootD connection begin and end.
struct XrootdFrames {
    struct Frame {
        var bytes: [UInt8]
        var isOpen: Bool
    }

    private let isRequest: Bool
    private var held: [UInt8] = []
    private var greeted = false
    /// Of the message that is passing.
    private var left = 0
    /// Something that is not XRootD's protocol: not looked at any more.
    private var foreign = false

    init(isRequest: Bool) { self.isRequest = isRequest }

    /// No message is halfway.
    var isBetween: Bool { left == 0 && held.isEmpty && !foreign }

    private func number(_ offset: Int) -> Int { held[offset..<offset + 4].reduce(0) { $0 << 8 | Int($1) } }

    /// Follows answers: 8 bytes of head, then as many as it declares; a status answer (4007) declares in its body how
    /// many follow that.
    mutating func feed(_ bytes: [UInt8]) {
        guard !foreign else { return }
        var rest = bytes[...]
        while !rest.isEmpty {
            if left > 0 {
                let taken = min(left, rest.count)
                left -= taken
                rest = rest.dropFirst(taken)
                continue
            }
            held.append(rest.removeFirst())
            if held.count == 8, held[2] == 0x0F, held[3] == 0xA7 { continue }
            if held.count == 8 {
                left = number(4)
                held = []
            } else if held.count == 24 {
                left = number(4) - 16 + number(20)
                held = []
            }
            if left > 1 << 31 || left < 0 { foreign = true }
        }
    }

    /// Whole requests, as they become complete: 20 bytes of greeting, then 24 bytes of head with the length of what
    /// follows.
    /// - Returns: nil where this is no XRootD connection.
    mutating func takeFrames(_ bytes: [UInt8]) -> [Frame]? {
        guard !foreign else { return nil }
        if !greeted, held.isEmpty, bytes.first != 0 {
            foreign = true
            return nil
        }
        held += bytes
        var frames: [Frame] = []
        if !greeted {
            guard held.count >= 20 else { return [] }
            greeted = true
            frames.append(Frame(bytes: Array(held[..<20]), isOpen: false))
            held.removeFirst(20)
        }
        while held.count >= 24 {
            let length = 24 + number(20)
            guard held.count >= length else { break }
            frames.append(Frame(bytes: Array(held[..<length]), isOpen: held[2] == 0x0B && held[3] == 0xC2))
            held.removeFirst(length)
        }
        return frames
    }
}
