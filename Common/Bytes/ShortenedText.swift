extension String {
    /// The text where it has at most `limit` bytes of UTF-8; else its beginning, and a mark with the number of bytes
    /// that are left out: `aaaa... (1000 bytes more)`.
    ///
    /// For messages to people: whatever comes from outside (a line of a file, a name in it, the text of a library) may
    /// be of any length. The mark counts within the limit; no character is cut.
    /// - Parameter limit: bytes; at least 40, so that there is room for the mark.
    package func shortened(to limit: Int) -> String {
        let length = utf8.count
        guard length > limit else { return self }
        // The mark has at most 19 digits and as many letters.
        var kept = utf8.index(utf8.startIndex, offsetBy: max(0, limit - 40))
        while kept > utf8.startIndex, utf8[kept] & 0xC0 == 0x80 { kept = utf8.index(before: kept) }
        let rest = length - utf8.distance(from: utf8.startIndex, to: kept)
        return String(self[..<kept]) + "... (\(rest) bytes more)"
    }
}
