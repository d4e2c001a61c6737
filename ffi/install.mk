# --- C and C++ --------------------------------------------------------------------------------

PREFIX     ?= /usr/local
LIBDIR     ?= lib
INCLUDEDIR ?= include

COATI_VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
COATI_SO      := libcoati.so.0
COATI_TARGET  := $(or $(CARGO_TARGET_DIR),target)
# Where the libraries to install are: `make install BUILT=… ` installs other ones than a release's.
BUILT         ?= $(COATI_TARGET)/release

.PHONY: header
header: ## Write include/coati.h anew from the crate
	COATI_WRITE_HEADER=1 cargo test --quiet -p coati-ffi --test header

.PHONY: libraries
libraries: ## Build libcoati.so and libcoati.a in release mode
	$(if $(filter $(COATI_TARGET)/release,$(BUILT)),cargo build --release -p coati-ffi)

.PHONY: install
install: libraries ## Install libraries, headers, pkg-config and CMake files below PREFIX
	install -d "$(DESTDIR)$(PREFIX)/$(LIBDIR)/pkgconfig" "$(DESTDIR)$(PREFIX)/$(LIBDIR)/cmake/coati" \
		"$(DESTDIR)$(PREFIX)/$(INCLUDEDIR)"
	install -m 644 include/coati.h include/coati.hpp "$(DESTDIR)$(PREFIX)/$(INCLUDEDIR)"
	install -m 755 "$(BUILT)/libcoati.so" \
		"$(DESTDIR)$(PREFIX)/$(LIBDIR)/libcoati.so.$(COATI_VERSION)"
	ln -sf "libcoati.so.$(COATI_VERSION)" "$(DESTDIR)$(PREFIX)/$(LIBDIR)/$(COATI_SO)"
	ln -sf "$(COATI_SO)" "$(DESTDIR)$(PREFIX)/$(LIBDIR)/libcoati.so"
	install -m 644 "$(BUILT)/libcoati.a" "$(DESTDIR)$(PREFIX)/$(LIBDIR)"
	for file in coati.pc coatiConfig.cmake coatiConfigVersion.cmake; do \
		case $$file in *.pc) to=pkgconfig ;; *) to=cmake/coati ;; esac; \
		sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' \
			-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|g' -e 's|@VERSION@|$(COATI_VERSION)|g' \
			"ffi/package/$$file.in" > "$(DESTDIR)$(PREFIX)/$(LIBDIR)/$$to/$$file" || exit 1; \
	done

.PHONY: uninstall
uninstall: ## Remove what install put below PREFIX
	rm -f "$(DESTDIR)$(PREFIX)/$(INCLUDEDIR)/coati.h" "$(DESTDIR)$(PREFIX)/$(INCLUDEDIR)/coati.hpp"
	rm -f "$(DESTDIR)$(PREFIX)/$(LIBDIR)/"libcoati.{a,so,so.0,so.$(COATI_VERSION)}
	rm -f "$(DESTDIR)$(PREFIX)/$(LIBDIR)/pkgconfig/coati.pc"
	rm -rf "$(DESTDIR)$(PREFIX)/$(LIBDIR)/cmake/coati"
